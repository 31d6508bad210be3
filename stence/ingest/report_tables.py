"""Import cath reports into Postgres, which mirrors the usable studies of the current reports."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine

from stence.database import queries
from stence.database.copy import copy_rows
from stence.database.identity import remember
from stence.database.outage import transact
from stence.domain.merged_patients import Patients
from stence.ingest.faults import SourceKind, write_faults
from stence.ingest.patients import load_opt_outs, load_patients
from stence.ingest.reports import Reports, Study, read_reports
from stence.ingest.tables import FileFault
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.pseudonym_key import load_pseudonyms
from stence.settings import Settings

log = logging.getLogger(__name__)

STEPS = ("reports_03_opened", "reports_04_stenoses")
STENOSIS_COLUMNS = ("study_id", "segment", "degree")


class StudyRow(NamedTuple):
    """A row of ``cath_studies``."""

    study_id: str
    patient_id: str
    performed_at: datetime
    split: str
    max_degree: float
    intervention_at: datetime | None
    report_key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """Counts of an import of cath reports."""

    files: int
    studies: int
    new: int
    changed: int
    faults: int

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)


def index_reports(
    engine: Engine, store: ObjectStore, settings: Settings, progress: Progress = silent
) -> ReportSummary:
    """Import the cath reports into the database. Return counts.

    Raises StoreUnavailableError, DatabaseUnavailableError.
    """
    patients = transact(engine, settings.outage_seconds, load_patients)
    reports, new, changed = _import(engine, store, settings, progress, patients)
    summary = ReportSummary(reports.files, len(reports.studies), new, changed, len(reports.faults))
    log.info("cath reports: %s", summary.as_dict())
    return summary


def import_reports(
    engine: Engine, store: ObjectStore, settings: Settings, progress: Progress, patients: Patients
) -> Reports:
    """Import as ``index_reports``, but return the reports themselves."""
    return _import(engine, store, settings, progress, patients)[0]


def _import(
    engine: Engine, store: ObjectStore, settings: Settings, progress: Progress, patients: Patients
) -> tuple[Reports, int, int]:
    zone, pseudonyms = ZoneInfo(settings.timezone), load_pseudonyms(settings)
    reports = read_reports(store, settings.report_prefix, zone, progress, pseudonyms, patients)
    if not reports.files:  # an unmounted prefix is more likely than a hospital without studies
        return reports, 0, 0
    return reports, *transact(engine, settings.outage_seconds, _write, reports, patients)


def _write(connection: Connection, reports: Reports, patients: Patients) -> tuple[int, int]:
    """Write the studies. Return the numbers of new and of changed studies."""
    opted_out = load_opt_outs(connection)  # somebody may have since the reports were read
    connection.execute(queries.statement("reports_00_lock"))
    remember(connection, opted_out.allowed(reports.numbers))
    connection.execute(queries.statement("stage_reports"))
    studies = [study for study in reports.studies if study.patient_id not in opted_out]
    rows = (_study_row(study, patients) for study in studies)
    copy_rows(connection, "staged_studies", StudyRow._fields, rows)
    copy_rows(connection, "staged_stenoses", STENOSIS_COLUMNS, _stenoses(studies))
    counts = connection.execute(queries.statement("reports_01_studies")).one()
    kept = [fault.source_key for fault in reports.faults if fault.reason == FileFault.NOT_FETCHED]
    connection.execute(queries.statement("reports_02_withdrawn"), {"kept": kept})
    for step in STEPS:
        connection.execute(queries.statement(step))
    write_faults(connection, SourceKind.REPORT, reports.faults)
    return counts.new, counts.changed


def _study_row(study: Study, patients: Patients) -> StudyRow:
    split = patients.split_of(study.patient_id)
    said: tuple[object, ...] = (study.patient_id, study.performed_at, study.degrees, study.intervention_at)
    if study.patient_id in patients.splits:
        said = (*said, str(split))
    return StudyRow(
        study_id=study.study_id,
        patient_id=study.patient_id,
        performed_at=study.performed_at,
        split=split,
        max_degree=max(study.degrees),
        intervention_at=study.intervention_at,
        report_key=study.report_key,
        fingerprint=hashlib.sha256(repr(said).encode()).hexdigest(),
    )


def _stenoses(studies: Iterable[Study]) -> Iterator[tuple[Any, ...]]:
    for study in studies:
        for segment, degree in enumerate(study.degrees, start=1):
            if degree:
                yield study.study_id, segment, degree
