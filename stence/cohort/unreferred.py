"""Patients who were never referred: one ECG of each of a sample, to know the population that is screened."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from stence.cohort.pairing import Candidate, Plan
from stence.cohort.part import Part
from stence.cohort.signals import read_signals, sync_signals, write_signal
from stence.concurrency import in_order
from stence.database import queries
from stence.database.outage import transact
from stence.domain.targets import SEGMENTS, TARGETS
from stence.ecg import UnusableEcgError
from stence.ecg.recipes import Recipe
from stence.ecg.recording import Sex
from stence.files import write_json
from stence.objects import ObjectStore
from stence.preparation.reading import Identity, fetch, take_in
from stence.preparation.rules import Rules, rules_of
from stence.progress import Progress
from stence.settings import Settings

INDEX, SIGNALS = "unreferred.json", "unreferred"
RECENT = timedelta(days=365)
"""ECGs older than this at the newest cath study are not drawn."""


@dataclass(frozen=True, slots=True)
class Unreferred:
    """ECGs of patients without a study, one a patient, and the numbers of patients with and without a study.

    Labels and degrees of ``part`` are NaN. ``left_out`` counts the drawn ECGs that are not usable.
    ``patients_per_day`` is the mean number of patients with an ECG a day; None if no time is known.
    """

    part: Part
    referred_patients: int
    unreferred_patients: int
    left_out: int
    patients_per_day: float | None = None

    @property
    def share_referred(self) -> float:
        """Share of patients with a study among those with an ECG; NaN without patients."""
        everyone = self.referred_patients + self.unreferred_patients
        return self.referred_patients / everyone if everyone else float("nan")


def gather_unreferred(
    plan: Plan,
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    folder: Path,
    progress: Progress,
    recipe: Recipe,
    limit: int,
) -> Unreferred:
    """Store one ECG of each of at most ``limit`` patients without a study in ``folder``.

    A complete folder is only read. The ECGs are checked and prepared as for scoring; unusable ones are left
    out and counted.
    Raises StoreUnavailableError, DatabaseUnavailableError.
    """
    windows = recipe.windows(settings.windows_per_ecg)
    if not (folder / INDEX).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        candidates, counts = transact(engine, settings.outage_seconds, _select, plan, limit)
        opening = partial(_open, plan, store, rules_of(settings, store), recipe, windows)
        opened = in_order(opening, candidates, settings.fetch_threads)
        ecgs = []
        for done, found in enumerate(opened, start=1):
            if found is not None:
                write_signal(folder, SIGNALS, found.signal)
                ecgs.append({"content": found.content, "age": found.age, "sex": found.sex})
            progress("screened", done, len(candidates))
        sync_signals(folder, [SIGNALS] if ecgs else [])
        write_json(folder / INDEX, {"ecgs": ecgs, "left_out": len(candidates) - len(ecgs), **counts})
    return read_unreferred(folder, recipe, windows)


def _select(connection: Connection, plan: Plan, limit: int) -> tuple[list[Candidate], dict[str, int | None]]:
    newest = max((study.performed_at for study in plan.studies), default=datetime.now(UTC))
    asked = {"patients": plan.pairing.patients, "since": newest - RECENT}
    counts = connection.execute(queries.statement("count_screened"), asked).mappings().one()
    drawn = connection.execute(queries.statement("unreferred_candidates"), asked | {"limit": limit})
    return [Candidate(*row) for row in drawn], dict(counts)


class _Opened(NamedTuple):
    content: str
    age: float | None
    sex: Sex | None
    signal: NDArray[np.float32]


def _open(
    plan: Plan, store: ObjectStore, rules: Rules, recipe: Recipe, windows: int, candidate: Candidate
) -> _Opened | None:
    """Return the prepared ECG; None if it is not usable or its file names a patient with a study."""
    given = Identity(candidate.patient_id, candidate.acquired_at)
    try:
        files = fetch(store, candidate.key, rules).usable()
        ecg = take_in(candidate.key, files, given, rules, plan.patients)
        if plan.pairing.has_study(ecg.patient_id):
            return None
        signal = recipe.prepare(ecg.recording, windows)
    except UnusableEcgError:
        return None
    return _Opened(ecg.content_hash.hex(), ecg.recording.age, ecg.recording.sex, signal)


def read_unreferred(folder: Path, recipe: Recipe, windows: int) -> Unreferred:
    """Read what ``gather_unreferred`` stored in ``folder``."""
    index = json.loads((folder / INDEX).read_text())
    ecgs = index["ecgs"]
    numbers = np.arange(len(ecgs), dtype=np.int64)
    signals = read_signals(folder, SIGNALS, windows, recipe)
    part = Part(
        contents=tuple(ecg["content"] for ecg in ecgs),
        patients=numbers,
        studies=np.full(len(ecgs), -1, dtype=np.int64),
        labels=np.full((len(ecgs), len(TARGETS)), np.nan, dtype=np.float32),
        degrees=np.full((len(ecgs), SEGMENTS), np.nan, dtype=np.float32),
        sex=np.array([ecg["sex"] or "" for ecg in ecgs], dtype="U1"),
        age=np.array([np.nan if ecg["age"] is None else ecg["age"] for ecg in ecgs], dtype=np.float64),
        samples=np.full(len(ecgs), signals.shape[-1], dtype=np.int64),
        rows=numbers,
        signals=signals,
        recipe=recipe,
    )
    # Folders of a training that began before an upgrade hold no days.
    per_day = index["patient_days"] / index["days"] if index.get("days") else None
    return Unreferred(part, index["referred"], index["unreferred"], index["left_out"], per_day)
