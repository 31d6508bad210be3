"""Cath reports: CSV or Parquet files in the store, one row per narrowed segment -> studies of 16 degrees.

Columns are ``study_id, patient_id, performed_at, segment, degree``, in any order. Two columns are optional.
``intervention_at`` is the time of treatment: later ECGs do not belong to the study's findings.
``reported_at`` is the time of the report: only the rows of a study's newest report count. Rows without it are
the oldest. Other columns are ignored.

A segment without a row is open (0 %). A study without stenosis has one row with an empty segment. A study may
have rows in several files. If one file gives several degrees for one segment, the worst counts, because a
segment can have several stenoses.

A study with an unusable row is left out, because that row may hold its worst stenosis. A study is also left
out if its rows name two patients or two times, or if two files give different degrees for one segment.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from enum import StrEnum

from stence.domain.merged_patients import NOT_MERGED, Patients
from stence.domain.pseudonyms import Pseudonyms
from stence.domain.targets import SEGMENTS
from stence.errors import ObjectError
from stence.ingest.faults import Fault, SourceKind, log_faults
from stence.ingest.report_rows import COLUMNS, OPTIONAL, Row, parse
from stence.ingest.tables import Cells, FileError, FileFault, RowError, RowFault, is_table, read_rows
from stence.objects import ObjectStore
from stence.progress import Progress

log = logging.getLogger(__name__)

MIN_STUDIES_OF_A_TIME = 10
"""If so many studies of a file all have the same time of day, their times are only dates."""
_NEVER = datetime.min.replace(tzinfo=UTC)


class StudyFault(StrEnum):
    """Reasons why a study cannot be used."""

    ROW_UNUSABLE = "study_row_unusable"
    TWO_PATIENTS = "study_two_patients"
    TWO_TIMES = "study_two_times"
    TWO_DEGREES = "study_two_degrees"


@dataclass(frozen=True, slots=True)
class Study:
    """One coronary angiography: patient, time (with time zone), and 16 stenosis degrees in percent.

    ``report_key`` is the last report with the study, ``intervention_at`` the first intervention in it.
    """

    study_id: str
    patient_id: str
    performed_at: datetime
    degrees: tuple[float, ...]
    report_key: str
    intervention_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reports:
    """The usable studies sorted by id, the numbers of excluded rows and studies, and the faults.

    ``interventions`` has each patient's first intervention, even if its study cannot be used.
    """

    files: int
    studies: tuple[Study, ...]
    left_out: Mapping[str, int]
    faults: tuple[Fault, ...]
    interventions: Mapping[str, datetime]
    numbers: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Number of each pseudonym in the reports, for the map of patients alone."""


def read_reports(
    store: ObjectStore,
    prefix: str,
    timezone: tzinfo,
    progress: Progress,
    pseudonyms: Pseudonyms,
    patients: Patients = NOT_MERGED,
) -> Reports:
    """Read every ``*.csv`` and ``*.parquet`` below ``prefix``; times without a zone are in ``timezone``.

    Patients have the pseudonyms of their present numbers; those who have opted out are left out. Unusable
    rows and files are counted; the log has counts only. Raises StoreUnavailableError.
    """
    gathering = _Gathering(timezone, pseudonyms, patients)
    for found in store.list(prefix, gathering.skip):
        if is_table(found.key):
            gathering.take_file(found.key, store)
            progress("reports", gathering.files)
    return gathering.finish()


@dataclass(slots=True, eq=False)
class _Report:
    """The rows of one study with the same report time."""

    patient_id: str
    performed_at: datetime
    key: str = ""
    degrees: dict[str, list[float]] = field(default_factory=dict)
    """Degrees by file."""
    intervention_at: datetime | None = None
    spoilt: StudyFault | None = None
    faults: list[Fault] = field(default_factory=list)

    def take(self, key: str, line: int, row: Row) -> None:
        if self.patient_id != row.patient_id:
            self._contradict(key, line, StudyFault.TWO_PATIENTS)
        elif self.performed_at != row.performed_at:
            self._contradict(key, line, StudyFault.TWO_TIMES)
        self.key = key
        degrees = self.degrees.setdefault(key, [0.0] * SEGMENTS)
        if row.segment:
            degrees[row.segment - 1] = max(degrees[row.segment - 1], row.degree)
        if row.intervention_at:
            self.intervention_at = min(row.intervention_at, self.intervention_at or row.intervention_at)

    def end_of_file(self, key: str, line: int) -> None:
        """Compare a file's degrees with those of earlier files."""
        for other, degrees in self.degrees.items():
            pairs = zip(degrees, self.degrees[key], strict=True)
            if other != key and any(one and another and one != another for one, another in pairs):
                self._contradict(key, line, StudyFault.TWO_DEGREES)
                return

    def worst(self) -> tuple[float, ...]:
        return tuple(max(of_segment) for of_segment in zip(*self.degrees.values(), strict=True))

    def _contradict(self, key: str, line: int, fault: StudyFault) -> None:
        self.faults.append(Fault(key, line, fault))
        self.spoilt = self.spoilt or fault


class _Gathering:
    """Collects the rows of all files into studies."""

    def __init__(self, timezone: tzinfo, pseudonyms: Pseudonyms, patients: Patients) -> None:
        self.files = 0
        self._timezone, self._pseudonyms, self._patients = timezone, pseudonyms, patients
        self._numbers: dict[str, str] = {}
        self._reports: dict[str, dict[datetime, _Report]] = {}
        """By study, and by when they were reported."""
        self._spoilt: set[str] = set()
        self._faults: list[Fault] = []

    def skip(self, prefix: str) -> None:
        """Tell of a folder that cannot be listed."""
        self._faults.append(Fault(prefix, 0, FileFault.NOT_FETCHED))

    def take_file(self, key: str, store: ObjectStore) -> None:
        self.files += 1
        rows = _FileRows(self, key)
        try:
            rows.take(read_rows(key, store.stream(key), COLUMNS, OPTIONAL))
        except FileError as error:
            self._refuse_file(rows, error.fault)
        except ObjectError:
            self._refuse_file(rows, FileFault.NOT_FETCHED)
        rows.finish()

    def parsed(self, cells: Cells | RowError) -> Row:
        if isinstance(cells, RowError):
            raise cells
        row = parse(cells, self._timezone)
        patient = self._pseudonyms.of(row.patient_id)
        self._numbers[patient] = row.patient_id
        return row._replace(patient_id=self._patients.present(patient))

    def report_of(self, row: Row) -> _Report:
        versions = self._reports.setdefault(row.study_id, {})
        return versions.setdefault(row.reported_at or _NEVER, _Report(row.patient_id, row.performed_at))

    def refuse(self, key: str, line: int, error: RowError) -> None:
        self._faults.append(Fault(key, line, error.fault))
        if error.record_id:
            self._spoilt.add(error.record_id)

    def finish(self) -> Reports:
        newest = {study: versions[max(versions)] for study, versions in sorted(self._reports.items())}
        faults = [*self._faults, *(fault for report in newest.values() for fault in report.faults)]
        spoilt = {study: report.spoilt for study, report in newest.items() if report.spoilt}
        spoilt |= {study: StudyFault.ROW_UNUSABLE for study in self._spoilt if study not in spoilt}
        studies = tuple(
            Study(study, r.patient_id, r.performed_at, r.worst(), r.key, r.intervention_at)
            for study, r in newest.items()
            if study not in spoilt and r.patient_id not in self._patients.opted_out
        )
        counts = Counter(fault.reason for fault in self._faults) + Counter(map(str, spoilt.values()))
        del counts[FileFault.TIMES_OF_DAY_EQUAL]  # a warning only: no study is left out
        interventions = _first_interventions(newest)
        return Reports(self.files, studies, dict(counts), tuple(sorted(faults)), interventions, self._numbers)

    def _refuse_file(self, rows: _FileRows, fault: FileFault) -> None:
        """Record the fault, and mark all studies read from the file: their worst rows may be missing."""
        rows.refused[fault] += 1
        self._faults.append(Fault(rows.key, rows.line + 1, fault))
        self._spoilt.update(rows.last_lines)


class _FileRows:
    """The rows of one file."""

    def __init__(self, gathering: _Gathering, key: str) -> None:
        self.key, self.line = key, 0
        self.last_lines: dict[str, int] = {}
        """Last line by study."""
        self._gathering = gathering
        self._reports: dict[_Report, int] = {}
        self._degrees: list[float] = []
        self._moments: dict[str, datetime] = {}
        """Time by study."""
        self.refused: Counter[str] = Counter()

    def take(self, rows: Iterator[tuple[int, Cells | RowError]]) -> None:
        suspicious = []
        for self.line, cells in rows:
            try:
                row = self._gathering.parsed(cells)
                report = self._gathering.report_of(row)
                report.take(self.key, self.line, row)
                self.last_lines[row.study_id] = self.line
                self._reports[report] = self.line
                self._degrees.append(row.degree)
                self._moments[row.study_id] = row.performed_at
                if row.degree == 1:
                    suspicious.append((self.line, row.study_id))
            except RowError as error:
                self._refuse(self.line, error)
        if max(self._degrees, default=0) == 1:  # a file of fractions: its 1 means 100 %
            for line, study in suspicious:
                self._refuse(line, RowError(RowFault.DEGREE_FRACTION, study))

    def finish(self) -> None:
        times_of_day = {moment.timetz() for moment in self._moments.values()}
        if len(self._moments) >= MIN_STUDIES_OF_A_TIME and len(times_of_day) == 1:
            self._refuse(0, RowError(FileFault.TIMES_OF_DAY_EQUAL))
        for report, line in self._reports.items():
            report.end_of_file(self.key, line)
        log_faults(log, SourceKind.REPORT, self.key, self.refused)

    def _refuse(self, line: int, error: RowError) -> None:
        self.refused[error.fault] += 1
        self._gathering.refuse(self.key, line, error)


def _first_interventions(reports: Mapping[str, _Report]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for report in reports.values():
        if report.intervention_at:
            patient = report.patient_id
            found[patient] = min(report.intervention_at, found.get(patient, report.intervention_at))
    return found
