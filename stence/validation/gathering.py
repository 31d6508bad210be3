"""The ECGs of a validation: opened, paired with a study, and scored by the frozen model, in batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from stence.cohort import Part, Plan, Study
from stence.cohort.gathering import DUPLICATE, PATIENT_CONFLICT, TIME_UNKNOWN
from stence.cohort.pairing import AFTER_INTERVENTION, NOT_BEFORE_STUDY, Candidate
from stence.concurrency import in_order
from stence.database import queries
from stence.database.outage import transact
from stence.domain.targets import SEGMENTS, TARGETS, labels
from stence.ecg import UnusableEcgError
from stence.ecg.fingerprint import Exports, Trace
from stence.evaluation.predictions import Predictions, predict
from stence.models import RiskScorer
from stence.objects import ObjectStore
from stence.preparation.reading import Identity, fetch, take_in
from stence.preparation.rules import Rules, rules_of
from stence.progress import Progress
from stence.settings import Settings
from stence.validation.config import ValidationConfig
from stence.validation.unseen import Seen

LEARNED = "patient_learned_from"
OUTSIDE = "study_outside_window"
OTHER_SITE = "ecg_at_other_site"
WITHOUT_STUDY = "patient_without_study"
NO_USABLE_ECG = "no_usable_ecg"
LEFT_OUT_BY_PLAN = (NOT_BEFORE_STUDY, AFTER_INTERVENTION)
"""Reasons that a plan counts for ECGs, among those for rows and studies."""
BATCH = 256
"""Number of prepared ECGs in memory."""

NO_SIGNALS = np.empty((0, 0, 0, 0), np.float32)

Place = tuple[str | None, str | None]
"""Site and indication."""


class Observed(NamedTuple):
    """A usable ECG and its study; ``signal`` is (windows, 12, samples)."""

    content: str
    patient_id: str
    degrees: tuple[float, ...]
    days_before: float
    sex: str
    age: float
    site: str | None
    device: str | None
    indication: str | None
    signal: NDArray[np.float32]


class _Opened(NamedTuple):
    ecg: Observed
    trace: Trace


@dataclass(frozen=True, slots=True)
class Flow:
    """How many there were, how many were used, and how many were left out by reason; they add up."""

    candidates: int
    used: int
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Gathered:
    """Predictions for the used ECGs (n,), what is known of each, and the flow of ECGs and of patients.

    ``site``, ``device`` and ``indication`` (n,) are empty where unknown; ``new`` (n,): the patient had no
    study when the model was made.
    """

    predictions: Predictions
    days_before: NDArray[np.float64]
    site: NDArray[np.str_]
    device: NDArray[np.str_]
    indication: NDArray[np.str_]
    new: NDArray[np.bool_]
    ecgs: Flow
    patients: Flow


def gather(
    plan: Plan,
    seen: Seen,
    scorer: RiskScorer,
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    config: ValidationConfig,
    progress: Progress,
) -> Gathered:
    """Open and score the ECGs of the plan that belong to the validation, and count all others by reason.

    An ECG that arrived twice is used once; one that arrived under two patients is not used. Raises
    StoreUnavailableError, DatabaseUnavailableError.
    """
    gathering = _Gathering(plan, seen, scorer, settings, config)
    gathering.run(engine, store, progress)
    return gathering.finish()


class _Gathering:
    """State of a gathering: what was used so far, and the counts of what was not."""

    def __init__(
        self, plan: Plan, seen: Seen, scorer: RiskScorer, settings: Settings, config: ValidationConfig
    ) -> None:
        self._plan, self._seen, self._scorer = plan, seen, scorer
        self._settings, self._config = settings, config
        self._window = config.window(settings.timezone)
        self._left_out = Counter({name: plan.left_out.get(name, 0) for name in LEFT_OUT_BY_PLAN})
        self._kept: list[Observed] = []
        self._owners: dict[str, str] = {}
        """Patient by content hash."""
        self._conflicts: set[str] = set()
        self._numbers: dict[str, int] = {}
        """Anonymous numbers of patients."""
        self._exports = Exports()
        self._waiting: list[Observed] = []
        self._scored: list[NDArray[np.float64]] = []
        self._places: dict[int, Place] = {}

    def run(self, engine: Engine, store: ObjectStore, progress: Progress) -> None:
        wanted = []
        for candidate in self._plan.candidates:
            reason = self._known_reason(candidate)
            if reason is None:
                wanted.append(candidate)
            else:
                self._left_out[reason] += 1
        self._places = transact(engine, self._settings.outage_seconds, _places, wanted)
        rules = rules_of(self._settings, store)
        opened = in_order(lambda each: self._open(store, rules, each), wanted, self._settings.fetch_threads)
        for done, outcome in enumerate(opened, start=1):
            if isinstance(outcome, _Opened):
                self._take(outcome.ecg._replace(content=self._exports.first(outcome.trace)))
            else:
                self._left_out[outcome] += 1
            progress("validation", done, len(wanted))
        self._score_waiting()

    def finish(self) -> Gathered:
        used = [number for number, ecg in enumerate(self._kept) if ecg.content not in self._conflicts]
        kept = [self._kept[number] for number in used]
        probabilities = np.concatenate([np.empty((0, len(TARGETS))), *self._scored])[used]
        part = self._part(kept)
        candidates = len(self._plan.candidates) + sum(
            self._plan.left_out.get(name, 0) for name in LEFT_OUT_BY_PLAN
        )
        return Gathered(
            Predictions.of(part, probabilities),
            np.array([ecg.days_before for ecg in kept], dtype=np.float64),
            _words(ecg.site for ecg in kept),
            _words(ecg.device for ecg in kept),
            _words(ecg.indication for ecg in kept),
            np.array([ecg.patient_id in self._seen.new for ecg in kept], dtype=np.bool_),
            Flow(candidates, len(kept), dict(sorted((+self._left_out).items()))),
            self._patient_flow({ecg.patient_id for ecg in kept}),
        )

    def _known_reason(self, candidate: Candidate) -> str | None:
        """Return the reason not to open the ECG that its manifest row gives, or None."""
        if candidate.patient_id in self._seen.learned:
            return LEARNED
        if candidate.patient_id is None or candidate.acquired_at is None:
            return None
        found = self._study_of(candidate.patient_id, candidate.acquired_at)
        return found if isinstance(found, str) else None

    def _study_of(self, patient_id: str, acquired_at: datetime | None) -> Study | str:
        if not self._plan.pairing.has_study(patient_id):
            return WITHOUT_STUDY
        if patient_id in self._seen.learned:
            return LEARNED
        if acquired_at is None:
            return TIME_UNKNOWN
        study = self._plan.pairing.study_of(patient_id, acquired_at)
        return study if isinstance(study, str) or self._in_window(study) else OUTSIDE

    def _in_window(self, study: Study) -> bool:
        start, end = self._window
        return (start is None or study.performed_at >= start) and (end is None or study.performed_at < end)

    def _open(self, store: ObjectStore, rules: Rules, candidate: Candidate) -> _Opened | str:
        """Return the ECG with its study, or the reason why it is left out."""
        site, indication = self._places.get(candidate.object_id, (None, None))
        given = Identity(candidate.patient_id, candidate.acquired_at, site, indication)
        try:
            files = fetch(store, candidate.key, rules).usable()
            ecg = take_in(candidate.key, files, given, rules, self._plan.patients)
            study = self._study_of(ecg.patient_id, ecg.acquired_at)
            if isinstance(study, str):
                return study
            if self._config.sites and ecg.site not in self._config.sites:
                return OTHER_SITE
            signal = self._scorer.prepare(ecg.recording)
        except UnusableEcgError as error:
            return f"ecg_{error.finding.reason}"
        recording, taken_at = ecg.recording, ecg.acquired_at or study.performed_at
        observed = Observed(
            content=ecg.content_hash.hex(),
            patient_id=ecg.patient_id,
            degrees=study.degrees,
            days_before=(study.performed_at - taken_at) / timedelta(days=1),
            sex=recording.sex or "",
            age=float("nan") if recording.age is None else recording.age,
            site=ecg.site,
            device=recording.device,
            indication=ecg.indication,
            signal=signal,
        )
        return _Opened(observed, ecg.trace())

    def _take(self, ecg: Observed) -> None:
        owner = self._owners.get(ecg.content)
        if owner is None:
            self._owners[ecg.content] = ecg.patient_id
            self._kept.append(ecg._replace(signal=np.empty(0, np.float32)))
            self._waiting.append(ecg)
            if len(self._waiting) == BATCH:
                self._score_waiting()
        elif ecg.content in self._conflicts:
            self._left_out[PATIENT_CONFLICT] += 1
        elif owner != ecg.patient_id:
            self._left_out[PATIENT_CONFLICT] += 2
            self._conflicts.add(ecg.content)
        else:
            self._left_out[DUPLICATE] += 1

    def _score_waiting(self) -> None:
        if self._waiting:
            signals = np.stack([ecg.signal for ecg in self._waiting])
            part = self._part(self._waiting, signals)
            self._scored.append(predict(self._scorer, part).probabilities)
            self._waiting = []

    def _part(self, ecgs: Sequence[Observed], signals: NDArray[np.float32] = NO_SIGNALS) -> Part:
        numbers, count = self._numbers, len(ecgs)
        degrees = np.array([ecg.degrees for ecg in ecgs], dtype=np.float32).reshape(count, SEGMENTS)
        return Part(
            contents=tuple(ecg.content for ecg in ecgs),
            patients=np.array([numbers.setdefault(ecg.patient_id, len(numbers)) for ecg in ecgs], np.int64),
            studies=np.zeros(count, np.int64),
            labels=np.array([labels(ecg.degrees) for ecg in ecgs], np.float32).reshape(count, len(TARGETS)),
            degrees=degrees,
            sex=np.array([ecg.sex for ecg in ecgs], dtype="U1"),
            age=np.array([ecg.age for ecg in ecgs], dtype=np.float64),
            samples=np.full(count, signals.shape[-1], np.int64),
            rows=np.arange(count),
            signals=signals,
            recipe=self._scorer.recipe,
        )

    def _patient_flow(self, used: set[str]) -> Flow:
        everybody = set(self._plan.pairing.patients)
        rest = everybody - self._seen.learned
        in_window = {study.patient_id for study in self._plan.studies if self._in_window(study)}
        left_out = {
            LEARNED: len(everybody) - len(rest),
            OUTSIDE: len(rest - in_window),
            NO_USABLE_ECG: len((rest & in_window) - used),
        }
        return Flow(len(everybody), len(used), {name: count for name, count in left_out.items() if count})


def _words(texts: Iterable[str | None]) -> NDArray[np.str_]:
    return np.array([text or "" for text in texts], dtype=np.str_)


def _places(connection: Connection, candidates: Sequence[Candidate]) -> dict[int, Place]:
    """Select site and indication of the ECG files, as manifests name them."""
    values = {"objects": [candidate.object_id for candidate in candidates]}
    rows = connection.execute(queries.statement("ecg_places"), values)
    return {number: (site, indication) for number, site, indication in rows}
