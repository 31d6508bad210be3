"""Which ECGs belong to which study: those of the patient from shortly before it, never after it."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from stence.cohort.reports import Study, read_reports
from stence.database import queries
from stence.database.outage import patiently
from stence.objects import ObjectStore
from stence.progress import Progress
from stence.settings import Settings

NOT_BEFORE_STUDY = "ecg_not_before_study"


class Candidate(NamedTuple):
    """An ECG in the store that may belong to a study, with what a manifest says of it."""

    key: str
    etag: str
    patient_id: str | None
    acquired_at: datetime | None


class Pairing:
    """Finds the study that an ECG is paired with."""

    def __init__(self, studies: Iterable[Study], days_before_study: float) -> None:
        self._reach = timedelta(days=days_before_study)
        self._studies: defaultdict[str, list[Study]] = defaultdict(list)
        for study in sorted(studies, key=lambda study: study.performed_at):
            self._studies[study.patient_id].append(study)

    @property
    def patients(self) -> list[str]:
        """Patients that have a study."""
        return list(self._studies)

    def has_study(self, patient_id: str) -> bool:
        """Whether the patient has a study at any time."""
        return patient_id in self._studies

    def study_of(self, patient_id: str, acquired_at: datetime) -> Study | None:
        """The patient's first study from ``acquired_at`` on, if it follows within the days allowed.

        An ECG from before two studies belongs to the earlier: what was done there may have changed the rest.
        """
        studies = self._studies.get(patient_id, [])
        place = bisect_left(studies, acquired_at, key=lambda study: study.performed_at)
        following = studies[place] if place < len(studies) else None
        return following if following and following.performed_at - acquired_at <= self._reach else None


@dataclass(frozen=True, slots=True)
class Plan:
    """The studies of a cohort and the ECGs to open for it; ``left_out`` counts what it will not use."""

    studies: tuple[Study, ...]
    pairing: Pairing
    candidates: tuple[Candidate, ...]
    left_out: Mapping[str, int]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all that decides what the cohort will hold."""
        digest = hashlib.sha256()
        for item in (*self.studies, *self.candidates):
            digest.update(repr(item).encode())
        return digest.hexdigest()


def plan_cohort(
    engine: Engine, store: ObjectStore, settings: Settings, days_before_study: float, tell: Progress
) -> Plan:
    """Read the cath reports and look for ECGs of their patients in the index.

    Files without a line in a manifest are opened later to learn whose they are. Raises StenceError if there
    are no reports, StoreUnavailableError, DatabaseUnavailableError.
    """
    reports = read_reports(store, settings.report_prefix, ZoneInfo(settings.timezone), tell)
    pairing = Pairing(reports.studies, days_before_study)
    left_out = Counter(reports.left_out)
    candidates = []
    for candidate in patiently(lambda: _indexed(engine, pairing.patients), settings.outage_seconds):
        if _may_belong(candidate, pairing):
            candidates.append(candidate)
        else:
            left_out[NOT_BEFORE_STUDY] += 1
    return Plan(reports.studies, pairing, tuple(candidates), left_out)


def _indexed(engine: Engine, patients: list[str]) -> list[Candidate]:
    with engine.connect() as connection:
        rows = connection.execute(queries.statement("cohort_candidates"), {"patients": patients})
        return [Candidate(*row) for row in rows]


def _may_belong(candidate: Candidate, pairing: Pairing) -> bool:
    if candidate.patient_id is None or candidate.acquired_at is None:
        return True
    return pairing.study_of(candidate.patient_id, candidate.acquired_at) is not None
