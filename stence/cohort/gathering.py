"""Open a planned cohort's ECGs: check them as for scoring, pair them with a study, store each once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from stence.cohort.dataset import Cohort, CohortWriter, Example, is_written, read_cohort
from stence.cohort.entries import indication_code
from stence.cohort.pairing import Candidate, Plan
from stence.cohort.pairs import Pair, record_pairs
from stence.cohort.signals import RAW_SAMPLES
from stence.concurrency import in_order
from stence.domain.referral import Referral
from stence.domain.splits import Split
from stence.domain.targets import labels
from stence.ecg import LEADS, Reason, Recording, UnusableEcgError
from stence.ecg.fingerprint import Exports, Trace
from stence.ecg.recipes import STENCE, Recipe
from stence.objects import ObjectStore
from stence.preparation.reading import Identity, UsableEcg, fetch, take_in
from stence.preparation.rules import Rules, rules_of
from stence.progress import Progress
from stence.settings import Settings

TIME_UNKNOWN = "ecg_time_unknown"
DUPLICATE = "ecg_duplicate"
PATIENT_CONFLICT = f"ecg_{Reason.PATIENT_CONFLICT}"
HELD_OUT_SITE = "ecg_at_held_out_site"
STUDY_WITHOUT_ECG = "study_without_ecg"


def gather(
    plan: Plan,
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    folder: Path,
    progress: Progress,
    recipe: Recipe = STENCE,
    referral: Referral | None = None,
) -> Cohort:
    """Open the plan's ECGs and store the usable ECGs in ``folder``, unless the folder is complete.

    The signals are prepared by ``recipe``; ECGs too short for it are left out. ``referral`` holds the sample
    weights of patients; None: all equal.

    A duplicate ECG is used once. An ECG that arrived under two patients is not used. ECGs of patients without
    a study are opened only to learn their patient, and are not counted. The pairs are recorded in
    ``ecg_study_pairs``.
    Raises StoreUnavailableError, DatabaseUnavailableError.
    """
    if not is_written(folder):
        windows = recipe.windows(settings.windows_per_ecg)
        writer = CohortWriter(folder, plan.studies, plan.angiograms, windows, recipe, plan.patients)
        _Gathering(plan, settings, recipe, windows, referral or Referral()).run(
            engine, store, writer, progress
        )
    return read_cohort(folder)


class _Opened(NamedTuple):
    example: Example
    trace: Trace


class _Gathering:
    """State of a gathering: ECGs kept so far, conflicts, and exclusion counts."""

    def __init__(
        self, plan: Plan, settings: Settings, recipe: Recipe, windows: int, referral: Referral
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._recipe, self._windows = recipe, windows
        self._referral = referral
        self._left_out = Counter(plan.left_out)
        self._kept: dict[str, Pair] = {}
        """Pairs by content hash."""
        self._conflicts: set[str] = set()
        self._exports = Exports()

    def run(self, engine: Engine, store: ObjectStore, writer: CohortWriter, progress: Progress) -> None:
        rules = rules_of(self._settings, store)
        opened = in_order(
            lambda candidate: self._open(store, rules, candidate),
            self._plan.candidates,
            self._settings.fetch_threads,
        )
        total = len(self._plan.candidates)
        for done, (candidate, outcome) in enumerate(zip(self._plan.candidates, opened, strict=True), start=1):
            if isinstance(outcome, _Opened):
                content = self._exports.first(outcome.trace)
                self._take(candidate, replace(outcome.example, content=content), writer)
            elif outcome:
                self._left_out[outcome] += 1
            progress("cohort", done, total)
        used = [pair for content, pair in self._kept.items() if content not in self._conflicts]
        self._left_out[STUDY_WITHOUT_ECG] = len(self._plan.studies) - len({pair.study_id for pair in used})
        record_pairs(engine, used, self._settings.outage_seconds)
        held_out = self._plan.held_out.summary
        writer.finish(self._conflicts, +self._left_out, self._referral.summary, held_out)

    def _take(self, candidate: Candidate, example: Example, writer: CohortWriter) -> None:
        if example.content not in self._kept:
            self._kept[example.content] = Pair.of(candidate, example)
            writer.add(example)
        elif example.content in self._conflicts:
            self._left_out[PATIENT_CONFLICT] += 1
        elif self._kept[example.content].patient_id != example.patient_id:
            self._left_out[PATIENT_CONFLICT] += 2
            self._conflicts.add(example.content)
        else:
            self._left_out[DUPLICATE] += 1

    def _open(self, store: ObjectStore, rules: Rules, candidate: Candidate) -> _Opened | str | None:
        """Return the example, or the reason to exclude the ECG, or None if its patient has no study."""
        given = Identity(candidate.patient_id, candidate.acquired_at, indication=candidate.indication)
        try:
            files = fetch(store, candidate.key, rules).usable()
            ecg = take_in(candidate.key, files, given, rules, self._plan.patients)
            if not self._plan.pairing.has_study(ecg.patient_id):
                return None
            example = self._example(ecg)
            return example if isinstance(example, str) else _Opened(example, ecg.trace())
        except UnusableEcgError as error:
            return f"ecg_{error.finding.reason}"

    def _example(self, ecg: UsableEcg) -> Example | str:
        if ecg.acquired_at is None:
            return TIME_UNKNOWN
        study = self._plan.pairing.study_of(ecg.patient_id, ecg.acquired_at)
        if isinstance(study, str):
            return study
        split = self._plan.patients.split_of(ecg.patient_id)
        if ecg.site in self._plan.held_out.sites and split is not Split.TEST:
            return HELD_OUT_SITE  # only the file names the site, so the patient was not moved into test
        samples, signal = kept_signal(ecg.recording, split, self._recipe, self._windows)
        return Example(
            content=ecg.content_hash.hex(),
            patient_id=ecg.patient_id,
            study_id=study.study_id,
            split=split,
            labels=labels(study.degrees),
            samples=samples,
            signal=signal,
            days_before=(study.performed_at - ecg.acquired_at) / timedelta(days=1),
            sex=ecg.recording.sex,
            age=ecg.recording.age,
            indication=indication_code(ecg.indication),
            sample_weight=self._referral.sample_weight.get(ecg.patient_id, 1.0),
        )


def kept_signal(
    recording: Recording, split: Split, recipe: Recipe, windows: int
) -> tuple[int, NDArray[np.float32]]:
    """Return the number of samples stored of an ECG in its split, and its signal, as in Example.

    Raises UnusableEcgError if the ECG is too short for the recipe.
    """
    if split is Split.TRAIN:
        return _raw(recipe.long_enough(recording)[:, :RAW_SAMPLES])
    signal = recipe.prepare(recording, windows)
    return signal.shape[-1], signal


def _raw(start: NDArray[np.float32]) -> tuple[int, NDArray[np.float32]]:
    """Return the number of samples, and the signal padded with NaN to (12, RAW_SAMPLES)."""
    signal = np.full((len(LEADS), RAW_SAMPLES), np.nan, dtype=np.float32)
    signal[:, : start.shape[1]] = start
    return start.shape[1], signal
