"""Routine days in the database as scoring leaves them: ECGs, measurements, scores, sketches, cath reports.

Drawn, not simulated from signals: thousands of ECGs in a second. Two sites, three machines; patients of whom
a share is ill, which raises their scores and moves their embeddings.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Engine, select, text

from stence.database import copy_rows
from stence.database.tables import ecgs, scores
from stence.domain.targets import TARGET_NAMES
from stence.domain.windows import Window
from stence.evaluation.watched import Watched
from support.tampering import tampering

FIRST_DAY = date(2026, 3, 2)
"""A Monday."""
SITES = {"clinic": ("Rest 12",), "main building": ("Cardio 1000", "Cardio 200")}
RUN = uuid.UUID(int=7)


@dataclass
class Ecg:
    """One ECG before it is written; a test may change it."""

    site: str
    device: str
    taken_at: datetime
    sampling_rate: float
    age: float
    heart_rate: float
    r_mv: np.ndarray[Any, Any]
    s_mv: np.ndarray[Any, Any]
    noise_uv: np.ndarray[Any, Any]
    scores: np.ndarray[Any, Any]
    sketch: np.ndarray[Any, Any]
    reported: bool
    degree: float
    indication: str


Change = Callable[[np.random.Generator, Ecg], "Ecg | None"]
"""What is wrong with a day: the ECG as it comes in, or None where it never does."""


def sound(rng: np.random.Generator, ecg: Ecg) -> Ecg:
    """Nothing is."""
    return ecg


@dataclass
class Routine:
    """A hospital whose days are written one after the other."""

    engine: Engine
    ecgs_per_day: int = 400
    ill: float = 0.19
    seed: int = 2
    version: str = "model-1"

    def crown(self, version: str) -> Watched:
        """Register a model as champion, in the place of the one before."""
        manifest = (
            '{"thresholds": {"stenosis_70": {"value": 0.6, "rule": "r"}},'
            ' "training_config": {"threshold": {"alerts_per_1000": 100}}}'
        )
        with tampering(self.engine) as connection:
            connection.execute(text("UPDATE models SET state = 'retired' WHERE state = 'champion'"))
            connection.execute(
                text(
                    "INSERT INTO models (version, state, folder, sha256, preprocessing_version, manifest,"
                    " created_at) VALUES (:v, 'champion', 'f', 's', 'p1', :manifest, '2026-01-01Z')"
                ),
                {"v": version, "manifest": manifest},
            )
            connection.execute(
                text(
                    "INSERT INTO model_events (version, from_state, to_state, changed_by, reason)"
                    " VALUES (:v, 'candidate', 'champion', 'test', 'test')"
                ),
                {"v": version},
            )
            connection.execute(
                text(
                    "INSERT INTO runs (id, model_version, preprocessing_version, state, code_version, device,"
                    " host) VALUES (:id, :v, 'p1', 'finished', '0', 'cpu', 'here') ON CONFLICT DO NOTHING"
                ),
                {"id": RUN, "v": version},
            )
        self.version = version
        return self.watched()

    def watched(self) -> Watched:
        """The champion."""
        with self.engine.connect() as connection:
            row = connection.execute(
                text("SELECT version, state, preprocessing_version, manifest FROM models WHERE version = :v"),
                {"v": self.version},
            ).one()
        return Watched(*row)

    def rescore(self, of: str, first: int, days: int, draw: Callable[[Any], Any]) -> None:
        """Let the champion score what the model ``of`` scored: ``draw`` makes its scores (n, 6) of those."""
        taken = ecgs.c.acquired_at.between(day(first).start, day(first + days - 1).end)
        found = (
            select(scores.c.content_hash, *(scores.c[target] for target in TARGET_NAMES))
            .join(ecgs, ecgs.c.content_hash == scores.c.content_hash)
            .where(scores.c.model_version == of, taken)
            .order_by(scores.c.content_hash)
        )
        with tampering(self.engine) as connection:
            rows = connection.execute(found).all()
            made = draw(np.array([row[1:] for row in rows]))
            copy_rows(
                connection, "scores",
                ("content_hash", "model_version", "preprocessing_version", *TARGET_NAMES, "run_id"),
                ((row[0], self.version, "p1", *new, RUN)
                 for row, new in zip(rows, made.tolist(), strict=True)),
            )  # fmt: skip

    def write(self, first: int, days: int = 1, change: Change = sound, ill: float | None = None) -> None:
        """Write days, counted from ``FIRST_DAY``; ``ill``: another share of the ill."""
        for number in range(first, first + days):
            rng = np.random.default_rng([self.seed, number])
            drawn = self._draw(rng, number, self.ill if ill is None else ill)
            changing = np.random.default_rng([self.seed, number, 1])
            self._store(number, [ecg for each in drawn if (ecg := change(changing, each))])

    def _draw(self, rng: np.random.Generator, number: int, ill: float) -> list[Ecg]:
        share = 0.55 if number % 7 >= 5 else 1.18
        return [self._ecg(rng, number, ill) for _ in range(rng.poisson(share * self.ecgs_per_day))]

    def _ecg(self, rng: np.random.Generator, number: int, ill: float) -> Ecg:
        site = "clinic" if rng.random() < (0.05 if number % 7 >= 5 else 0.3) else "main building"
        device = str(rng.choice(SITES[site]))
        is_ill = bool(rng.random() < ill)
        size = np.exp(0.25 * rng.standard_normal())
        r = size * R_MV * np.exp(0.35 * rng.standard_normal(12))
        s = size * S_MV * np.exp(0.35 * rng.standard_normal(12))
        logit = -1.6 + 1.1 * is_ill + rng.standard_normal()
        scores = 1 / (1 + np.exp(-(logit + OFFSETS + 0.3 * rng.standard_normal(6))))
        hour = float(rng.uniform(7, 22))
        return Ecg(
            site, device, datetime.combine(FIRST_DAY, time()) + timedelta(days=number, hours=hour),
            500.0, float(rng.normal(64 + 4 * is_ill, 13)), float(rng.normal(75, 13)), r, s,
            (4 if device == "Cardio 1000" else 9) * np.exp(0.4 * rng.standard_normal(12)),
            scores, rng.standard_normal(32) + 0.4 * is_ill,
            bool(rng.random() < 0.18), float(rng.choice(DEGREES[is_ill])),
            "chest pain" if rng.random() < (0.75 if is_ill else 0.15) else "check-up",
        )  # fmt: skip

    def _store(self, number: int, taken: list[Ecg]) -> None:
        names = [f"ecg/{number}/{place}" for place in range(len(taken))]
        hashes = [hashlib.sha256(name.encode()).digest() for name in names]
        patients = [f"p{number}-{place}" for place in range(len(taken))]
        with tampering(self.engine) as connection:
            copy_rows(
                connection, "objects", ("key", "record_key", "etag", "size_bytes", "changed_at"),
                ((n, n, "e", 1, _utc(e.taken_at)) for n, e in zip(names, taken, strict=True)),
            )  # fmt: skip
            objects = dict(
                tuple(row)
                for row in connection.execute(
                    text("SELECT key, id FROM objects WHERE key LIKE :like"), {"like": f"ecg/{number}/%"}
                )
            )
            copy_rows(
                connection, "ecgs",
                ("content_hash", "patient_id", "acquired_at", "device", "site", "sex", "age",
                 "sampling_rate", "seconds", "object_id", "indication"),
                ((h, p, _utc(e.taken_at), e.device, e.site, "M", e.age, e.sampling_rate, 10, objects[n],
                  e.indication)
                 for h, p, n, e in zip(hashes, patients, names, taken, strict=True)),
            )  # fmt: skip
            copy_rows(
                connection, "ecg_measurements", ("content_hash", "heart_rate", "r_mv", "s_mv", "noise_uv"),
                ((h, e.heart_rate, e.r_mv.tolist(), e.s_mv.tolist(), e.noise_uv.tolist())
                 for h, e in zip(hashes, taken, strict=True)),
            )  # fmt: skip
            self._store_scores(connection, hashes, taken)
            reported = [(f"s{p}", p, e) for p, e in zip(patients, taken, strict=True) if e.reported]
            copy_rows(
                connection, "cath_studies",
                ("study_id", "patient_id", "performed_at", "split", "max_degree", "report_key",
                 "fingerprint"),
                ((s, p, _utc(e.taken_at), "test", e.degree, "cath.csv", s) for s, p, e in reported),
            )  # fmt: skip
            copy_rows(
                connection, "segment_stenoses", ("study_id", "segment", "degree"),
                ((s, 6, e.degree) for s, _, e in reported if e.degree),
            )  # fmt: skip

    def _store_scores(self, connection: Any, hashes: list[bytes], taken: list[Ecg]) -> None:
        copy_rows(
            connection, "scores",
            ("content_hash", "model_version", "preprocessing_version", *TARGET_NAMES, "run_id", "scored_at"),
            ((h, self.version, "p1", *e.scores.tolist(), RUN, _utc(e.taken_at) + timedelta(hours=6))
             for h, e in zip(hashes, taken, strict=True)),
        )  # fmt: skip
        copy_rows(
            connection, "ecg_embeddings", ("content_hash", "model_version", "sketch"),
            ((h, self.version, e.sketch.tolist()) for h, e in zip(hashes, taken, strict=True)),
        )  # fmt: skip


DEGREES = {False: [0, 25], True: [50, 75, 90, 99]}
R_MV = np.array([0.6, 0.9, 0.4, 0.1, 0.4, 0.6, 0.2, 0.5, 0.8, 1.2, 1.2, 1.0])
S_MV = np.array([0.1, 0.2, 0.3, 0.8, 0.2, 0.2, 0.9, 1.2, 0.9, 0.6, 0.3, 0.1])
OFFSETS = np.array([0.8, 0.0, -0.8, -1.6, -0.9, -0.4])
"""Usual heights and depths by lead in mV; targets, rarer or commoner than stenosis_70, in log-odds."""


def day(number: int) -> Window:
    """A day, counted from ``FIRST_DAY``, as the monitor looks at it."""
    return Window.of_day(FIRST_DAY + timedelta(days=number), "UTC")


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
