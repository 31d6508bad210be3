"""Models that were really trained meet the gate, and the registry remembers what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, select

from stence import registry
from stence.cohort import Cohort, Part, Split, StudyTable
from stence.database.tables import model_events, models
from stence.domain.targets import labels
from stence.domain.thresholds import Workload
from stence.ecg import preprocess
from stence.evaluation.predictions import Predictions
from stence.fitting.finetuning import fit
from stence.progress import silent
from stence.training import TrainingConfig, populations
from stence.training.gate import GateConfig, Result, Verdict, judge
from stence.training.populations import Logits
from support.artefacts import make_artefact
from support.ecgs import heartbeats
from support.unreferred import nobody

PATIENTS = {Split.TRAIN: 240, Split.VALIDATION: 100, Split.CALIBRATION: 300, Split.TEST: 300}
SIGNS = (slice(3, 6), slice(6, 12))
"""Leads that disease turns upside down, mostly: the limbs' and the chest's."""
CONFIG = TrainingConfig(
    encoder_config={"width": 16, "depth": 1, "heads": 1},
    epochs=6,
    warmup_epochs=1,
    patience=6,
    batch_size=16,
    encoder_rate=5e-3,
    head_rate=5e-3,
)

Parts = Mapping[Split, Part]


def part_of(split: Split, first_patient: int, seen: tuple[slice, ...]) -> Part:
    """One ECG a patient. Signs of ``seen`` agree with the disease in 8 of 10, any other one by chance."""
    n = PATIENTS[split]
    rng = np.random.default_rng(first_patient)
    degrees = np.zeros((n, 16), np.float32)
    degrees[:, 5] = np.where(rng.uniform(size=n) < 0.4, rng.uniform(70, 100, n), rng.uniform(0, 60, n))
    ill = degrees[:, 5] >= 70
    signals = np.stack([heartbeats(first_patient + i) for i in range(n)]).astype(np.float32) / 1000
    for leads in SIGNS:
        agrees = rng.uniform(size=n) < (0.8 if leads in seen else 0.5)
        signals[:, leads] *= np.where(agrees == ill, -1, 1)[:, None, None]
    return Part(
        contents=tuple(map(str, range(n))),
        patients=np.arange(first_patient, first_patient + n),
        studies=np.arange(n),
        labels=np.stack([labels(row.tolist()) for row in degrees]),
        degrees=degrees,
        sex=rng.choice(["F", "M"], n),
        age=rng.uniform(45, 85, n),
        samples=np.full(n, 5000),
        rows=np.arange(n),
        signals=signals if split is Split.TRAIN else preprocess(signals[:, None, :, :1500]),
    )


def parts_of(seen: tuple[slice, ...]) -> Parts:
    starts = np.cumsum([0, *PATIENTS.values()])
    return {split: part_of(split, int(first), seen) for split, first in zip(PATIENTS, starts, strict=False)}


def corrupted(part: Part) -> Part:
    """As a faulty export would have it: what is left open of the artery, not what is narrowed."""
    degrees = part.degrees.copy()
    degrees[:, 5] = 100 - degrees[:, 5]
    return replace(part, degrees=degrees, labels=np.stack([labels(row.tolist()) for row in degrees]))


class Trained:
    """A model trained on two parts, and what it says of the test patients."""

    def __init__(self, train: Part, validation: Part, parts: Parts, folder: Path) -> None:
        model, _ = fit(CONFIG, train, validation, "cpu", folder / "checkpoint.safetensors", silent)
        studies = StudyTable(np.empty(0, np.int64), np.empty((0, 16), np.float32), (), ())
        cohort, others = Cohort(parts, {}, studies), nobody(validation)
        logits = Logits.of(model, cohort, others, "cpu")
        found = populations.calibrated(logits, cohort, others)
        self.thresholds = populations.choose_thresholds(logits, cohort, others, found, Workload(200))
        self.on_test = populations.on_test(logits, cohort, found.referred)
        self.patients = np.concatenate([part.patients for part in (train, validation)])

    def verdict(self, champion: Predictions | None) -> Verdict:
        config = GateConfig(alerts_per_1000=(1, 400), odds_factors=(1.5, 2), slope_factors=(1.5, 3))
        return judge(self.on_test, champion, self.thresholds, config, learned_from=self.patients)


def enter(engine: Engine, version: str, verdict: Verdict) -> None:
    """Register a candidate and let the gate decide, in one transaction."""
    decide = registry.reject if verdict.result is Result.FAILED else registry.shadow
    with engine.begin() as connection:
        registry.register(connection, "models/x/", make_artefact(version), by="stence", why="trained")
        decide(connection, version, by="gate", why=verdict.text())


def promote(engine: Engine, version: str) -> None:
    with engine.begin() as connection:
        registry.promote(connection, version, by="ada", why="looked at its card")


def history(engine: Engine) -> list[tuple[str, str]]:
    e = model_events.c
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(e.version, e.to_state).order_by(e.id))]


@pytest.mark.slow
def test_corrupted_labels_end_at_the_gate_and_a_better_model_is_promoted_and_rolled_back(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    parts = parts_of(SIGNS)

    def trained(train: Part, validation: Part) -> Trained:
        return Trained(train, validation, parts, tmp_path_factory.mktemp("training"))

    # The first champion learned where one of the two signs meant nothing.
    weaker = parts_of(SIGNS[1:])
    first = trained(weaker[Split.TRAIN], weaker[Split.VALIDATION])
    enter(engine, "first", first.verdict(None))
    promote(engine, "first")

    worthless = trained(corrupted(parts[Split.TRAIN]), corrupted(parts[Split.VALIDATION]))
    verdict = worthless.verdict(first.on_test)
    assert any("from the champion's, the lower bound must be above -0.0" in why for why in verdict.reasons)
    enter(engine, "worthless", verdict)

    better = trained(parts[Split.TRAIN], parts[Split.VALIDATION]).verdict(first.on_test)
    assert better.result is not Result.FAILED, better.text()
    enter(engine, "better", better)
    promote(engine, "better")
    with engine.begin() as connection:
        assert registry.rollback(connection, by="bob", why="too many alerts").version == "first"

    assert history(engine) == [
        ("first", "candidate"), ("first", "shadow"), ("first", "champion"),
        ("worthless", "candidate"), ("worthless", "rejected"),
        ("better", "candidate"), ("better", "shadow"),
        ("first", "retired"), ("better", "champion"),
        ("better", "retired"), ("first", "champion"),
    ]  # fmt: skip
    with engine.connect() as connection:
        states = dict(tuple(row) for row in connection.execute(select(models.c.version, models.c.state)))
        why = connection.scalar(select(model_events.c.reason).where(model_events.c.to_state == "rejected"))
    assert states == {"first": "champion", "worthless": "rejected", "better": "retired"}
    assert why == verdict.text()
