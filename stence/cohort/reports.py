"""Cath reports: CSV or Parquet files in the store, one row a narrowed segment -> studies with 16 degrees.

Columns ``study_id, patient_id, performed_at, segment, degree`` in any order, others ignored but
``intervention_at``: when the patient was treated, an ECG from then on says nothing of what the study saw.
Segments that a study does not list are open (0 %); a study without any narrowing has one row with an empty
segment. A study may be spread over rows and files and may be sent again: of several degrees for one segment
the worst counts, since a segment can hold several narrowings.

A study with a row that cannot be used is left out as a whole, as that row may have held its worst narrowing;
so is one whose rows name two patients or two times.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import NamedTuple

from stence.cohort.report_rows import Cells, FileError, Row, RowError, is_report, parse, read_rows
from stence.models.targets import SEGMENTS
from stence.objects import ObjectStore
from stence.progress import Progress

LOGGED_ROWS = 20
"""Unusable rows of one file that are logged one by one; all are counted."""

log = logging.getLogger(__name__)


class StudyFault(StrEnum):
    """Why a study cannot be used."""

    ROW_UNUSABLE = "study_row_unusable"
    TWO_PATIENTS = "study_two_patients"
    TWO_TIMES = "study_two_times"


@dataclass(frozen=True, slots=True)
class Study:
    """One coronary angiography: whose, when (with its time zone), and the 16 degrees in percent.

    ``report_key`` is the report that named it last, ``intervention_at`` the first intervention it tells of.
    """

    study_id: str
    patient_id: str
    performed_at: datetime
    degrees: tuple[float, ...]
    report_key: str
    intervention_at: datetime | None = None


class Fault(NamedTuple):
    """A row that cannot be used, or contradicts others: where it stands, and a code of what is wrong."""

    report_key: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reports:
    """The usable studies in order of their ids, how many rows and studies were left out, and the faults.

    ``interventions`` has the first of each patient, also where its study cannot be used.
    """

    files: int
    studies: tuple[Study, ...]
    left_out: Mapping[str, int]
    faults: tuple[Fault, ...]
    interventions: Mapping[str, datetime]


def read_reports(store: ObjectStore, prefix: str, timezone: tzinfo, tell: Progress) -> Reports:
    """Read every ``*.csv`` and ``*.parquet`` below ``prefix``; times without a zone are in ``timezone``.

    Unusable rows and files are counted, and logged by file and line without their content.
    Raises StoreUnavailableError.
    """
    gathering = _Gathering(timezone)
    for found in store.list(prefix):
        if is_report(found.key):
            gathering.take_file(found.key, store.stream(found.key))
            tell("reports", gathering.files)
    return gathering.finish()


class _Gathering:
    """Studies while their rows come in, from whichever file."""

    def __init__(self, timezone: tzinfo) -> None:
        self.files = 0
        self._timezone = timezone
        self._patients: dict[str, tuple[str, datetime]] = {}
        self._degrees: dict[str, list[float]] = {}
        self._keys: dict[str, str] = {}
        self._treated: dict[str, datetime] = {}
        self._interventions: dict[str, datetime] = {}
        self._spoilt: dict[str, StudyFault] = {}
        self._faults: list[Fault] = []
        self._counts: Counter[str] = Counter()

    def take_file(self, key: str, chunks: Iterable[bytes]) -> None:
        self.files += 1
        line, before = 0, len(self._faults)
        try:
            for line, cells in read_rows(key, chunks):
                self._take_row(key, line, cells)
        except FileError as error:
            self._refuse_file(key, line + 1, error)
        _log(self._faults[before:])

    def finish(self) -> Reports:
        studies = tuple(
            Study(study_id, *self._patients[study_id], tuple(degrees), key, self._treated.get(study_id))
            for study_id, degrees, key in sorted(
                (study_id, degrees, self._keys[study_id]) for study_id, degrees in self._degrees.items()
            )
            if study_id not in self._spoilt
        )
        counts = self._counts + Counter(self._spoilt.values())
        return Reports(self.files, studies, dict(counts), tuple(self._faults), self._interventions)

    def _take_row(self, key: str, line: int, cells: Cells | RowError) -> None:
        try:
            if isinstance(cells, RowError):
                raise cells
            self._take(key, line, parse(cells, self._timezone))
        except RowError as error:
            self._counts[error.fault] += 1
            self._faults.append(Fault(key, line, error.fault))
            if error.study_id:
                self._spoilt.setdefault(error.study_id, StudyFault.ROW_UNUSABLE)

    def _take(self, key: str, line: int, row: Row) -> None:
        patient, moment = self._patients.setdefault(row.study_id, (row.patient_id, row.performed_at))
        if patient != row.patient_id:
            self._contradict(key, line, row.study_id, StudyFault.TWO_PATIENTS)
        elif moment != row.performed_at:
            self._contradict(key, line, row.study_id, StudyFault.TWO_TIMES)
        self._keys[row.study_id] = key
        degrees = self._degrees.setdefault(row.study_id, [0.0] * SEGMENTS)
        if row.segment:
            degrees[row.segment - 1] = max(degrees[row.segment - 1], row.degree)
        if row.intervention_at:
            _keep_first(self._treated, row.study_id, row.intervention_at)
            _keep_first(self._interventions, row.patient_id, row.intervention_at)

    def _contradict(self, key: str, line: int, study_id: str, fault: StudyFault) -> None:
        self._faults.append(Fault(key, line, fault))
        self._spoilt.setdefault(study_id, fault)

    def _refuse_file(self, key: str, line: int, error: FileError) -> None:
        """What was read of a damaged file may lack its worst rows."""
        log.warning("%s is no cath report: %s", key, error)
        self._counts[error.fault] += 1
        self._faults.append(Fault(key, line, error.fault))
        for study_id, last_key in self._keys.items():
            if last_key == key:
                self._spoilt.setdefault(study_id, StudyFault.ROW_UNUSABLE)


def _log(faults: Sequence[Fault]) -> None:
    """A file's faults."""
    for fault in faults[:LOGGED_ROWS]:
        log.warning("%s line %d left out: %s", fault.report_key, fault.line, fault.reason)
    if len(faults) > LOGGED_ROWS:
        log.warning("%s: %d rows left out in all", faults[0].report_key, len(faults))


def _keep_first(moments: dict[str, datetime], name: str, moment: datetime) -> None:
    moments[name] = min(moment, moments.get(name, moment))
