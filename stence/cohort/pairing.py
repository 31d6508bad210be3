"""Pair cath studies with the patient's ECGs from shortly before the study, never after it.

ECGs from after the patient's first intervention are excluded: the study no longer describes that state.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from stence.cohort.ready import FeatureSet, ReadyView, ready_views
from stence.database import queries
from stence.database.outage import transact
from stence.domain.merged_patients import NOT_MERGED, Patients
from stence.domain.splits import NOTHING_HELD_OUT, HeldOut
from stence.errors import NoLabelledPatientsError
from stence.ingest.patients import load_patients
from stence.ingest.report_tables import import_reports
from stence.ingest.reports import Study
from stence.objects import ObjectStore
from stence.progress import Progress
from stence.settings import Settings

NOT_BEFORE_STUDY = "ecg_not_before_study"
AFTER_INTERVENTION = "ecg_after_intervention"


class Candidate(NamedTuple):
    """An ECG in the store that may belong to a study, with what a manifest says of it, if any."""

    object_id: int
    key: str
    etag: str
    patient_id: str | None
    acquired_at: datetime | None
    indication: str | None = None


class Pairing:
    """Finds the study of an ECG; ``interventions`` are the times of the patients' first interventions."""

    def __init__(
        self,
        studies: Iterable[Study],
        days_before_study: float,
        interventions: Mapping[str, datetime] = MappingProxyType({}),
    ) -> None:
        self._reach = timedelta(days=days_before_study)
        self._interventions = interventions
        self._studies: defaultdict[str, list[Study]] = defaultdict(list)
        for study in sorted(studies, key=lambda study: study.performed_at):
            self._studies[study.patient_id].append(study)

    @property
    def patients(self) -> list[str]:
        """Patients with a study."""
        return list(self._studies)

    def has_study(self, patient_id: str) -> bool:
        """True if the patient has a study at any time."""
        return patient_id in self._studies

    def study_of(self, patient_id: str, acquired_at: datetime) -> Study | str:
        """Return the patient's first study from ``acquired_at`` on, or the reason why there is no pair.

        The study must follow within the allowed days. An ECG before two studies belongs to the earlier study,
        because an intervention there may have changed the later findings.
        """
        studies = self._studies.get(patient_id, [])
        place = bisect_left(studies, acquired_at, key=lambda study: study.performed_at)
        if place == len(studies) or studies[place].performed_at - acquired_at > self._reach:
            return NOT_BEFORE_STUDY
        treated = self._interventions.get(patient_id)
        return studies[place] if treated is None or acquired_at < treated else AFTER_INTERVENTION


@dataclass(frozen=True, slots=True)
class Plan:
    """The studies of a cohort, the ECGs to open for it, and its angiograms that have ``features``.

    ``left_out`` counts excluded rows, studies and ECGs by reason.
    """

    studies: tuple[Study, ...]
    pairing: Pairing
    candidates: tuple[Candidate, ...]
    left_out: Mapping[str, int]
    features: FeatureSet | None = None
    views: tuple[ReadyView, ...] = ()
    patients: Patients = NOT_MERGED
    held_out: HeldOut = NOTHING_HELD_OUT

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all inputs that determine the cohort's content."""
        digest = hashlib.sha256()
        decided = sorted(
            (study.patient_id, self.patients.splits.get(study.patient_id)) for study in self.studies
        )
        inputs = (*self.studies, *self.candidates, self.features, *self.views, *decided, self.held_out)
        for item in inputs:
            digest.update(repr(item).encode())
        return digest.hexdigest()

    @property
    def angiograms(self) -> dict[str, str]:
        """SHA-256 of each study's views, by study id."""
        views: defaultdict[str, list[ReadyView]] = defaultdict(list)
        for view in self.views:
            views[view.study_id].append(view)
        return {study: hashlib.sha256(repr(of).encode()).hexdigest() for study, of in views.items()}


def plan_cohort(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    days_before_study: float,
    progress: Progress,
    features: FeatureSet | None = None,
) -> Plan:
    """Import the cath reports, and select ECGs and angiograms of their patients from the index.

    ECGs without a manifest row are opened later to learn their patient. Only angiograms with ``features`` are
    selected; without ``features``, none. Raises NoLabelledPatientsError if there are no reports,
    StoreUnavailableError, DatabaseUnavailableError.
    """
    patients = transact(engine, settings.outage_seconds, load_patients)
    reports = import_reports(engine, store, settings, progress, patients)
    if not reports.files:
        raise NoLabelledPatientsError(
            f"There is no cath report: no .csv or .parquet below {settings.report_prefix} in {store.url}. "
            "Copy cath reports there."
        )
    pairing = Pairing(reports.studies, days_before_study, reports.interventions)
    left_out = Counter(reports.left_out)
    candidates = []
    for candidate in transact(engine, settings.outage_seconds, _indexed, pairing.patients):
        if reason := _exclusion_reason(candidate, pairing):
            left_out[reason] += 1
        else:
            candidates.append(candidate)
    views = _views(engine, settings, reports.studies, features) if features else ()
    return Plan(reports.studies, pairing, tuple(candidates), left_out, features, views, patients)


def _indexed(connection: Connection, patients: list[str]) -> list[Candidate]:
    rows = connection.execute(queries.statement("cohort_candidates"), {"patients": patients})
    return [Candidate(*row) for row in rows]


def _views(
    engine: Engine, settings: Settings, studies: Iterable[Study], features: FeatureSet
) -> tuple[ReadyView, ...]:
    """Select the ready views of these studies; the index may hold newer studies."""
    known = {study.study_id for study in studies}
    views = transact(engine, settings.outage_seconds, ready_views, features)
    return tuple(view for view in views if view.study_id in known)


def _exclusion_reason(candidate: Candidate, pairing: Pairing) -> str | None:
    """Return the reason to exclude the ECG that is known from its manifest, or None."""
    if candidate.patient_id is None or candidate.acquired_at is None:
        return None
    found = pairing.study_of(candidate.patient_id, candidate.acquired_at)
    return found if isinstance(found, str) else None
