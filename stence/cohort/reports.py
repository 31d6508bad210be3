"""Cath reports: CSV files in the store, one row a narrowed segment -> studies with 16 segment degrees.

Columns ``study_id,patient_id,performed_at,segment,degree`` in any order, others ignored; UTF-8, one record a
line, times in ISO 8601. Segments that a study does not list are open (0 %); a study without any narrowing
has one row with an empty segment. A study may be spread over rows and files and may be sent again: of several
degrees for one segment the worst counts, since a segment can hold several narrowings.

A study with a row that cannot be used is left out as a whole, as that row may have held its worst narrowing;
so is one whose rows name two patients or two times.
"""

from __future__ import annotations

import codecs
import csv
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import NamedTuple

from stence.errors import StenceError
from stence.models.targets import SEGMENTS
from stence.objects import ObjectStore
from stence.progress import Progress

COLUMNS = ("study_id", "patient_id", "performed_at", "segment", "degree")
LOGGED_ROWS = 20
"""Unusable rows of one file that are logged one by one; all are counted."""

log = logging.getLogger(__name__)


class RowFault(StrEnum):
    """Why a row cannot be used."""

    NOT_A_RECORD = "row_not_a_record"
    ID_MISSING = "row_id_missing"
    TIME_UNREADABLE = "row_time_unreadable"
    SEGMENT_UNKNOWN = "row_segment_unknown"
    DEGREE_OUT_OF_RANGE = "row_degree_out_of_range"


class StudyFault(StrEnum):
    """Why a study cannot be used."""

    ROW_UNUSABLE = "study_row_unusable"
    TWO_PATIENTS = "study_two_patients"
    TWO_TIMES = "study_two_times"


@dataclass(frozen=True, slots=True)
class Study:
    """One coronary angiography: whose, when (with its time zone), and the 16 degrees in percent."""

    study_id: str
    patient_id: str
    performed_at: datetime
    degrees: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Reports:
    """The usable studies in order of their ids, and how many rows and studies were left out, by fault."""

    studies: tuple[Study, ...]
    left_out: Mapping[str, int]


def read_reports(store: ObjectStore, prefix: str, timezone: tzinfo, tell: Progress) -> Reports:
    """Read every ``*.csv`` below ``prefix``; times without a zone are in ``timezone``.

    Unusable rows are counted, and logged by file and line without their content.
    Raises StenceError if there is no report at all, or a file lacks a column.
    """
    gathering = _Gathering(timezone)
    files = 0
    for found in store.list(prefix):
        if found.key.lower().endswith(".csv"):
            gathering.take_file(found.key, store.stream(found.key))
            files += 1
            tell("reports", files)
    if not files:
        raise StenceError(f"There is no cath report: no .csv below {prefix} in {store.url}. Put some there.")
    return gathering.finish()


class _Row(NamedTuple):
    study_id: str
    patient_id: str
    performed_at: datetime
    segment: int | None
    degree: float


class _RowError(Exception):
    def __init__(self, fault: RowFault, study_id: str = "") -> None:
        super().__init__(fault)
        self.fault = fault
        self.study_id = study_id


class _Gathering:
    """Studies while their rows come in, from whichever file."""

    def __init__(self, timezone: tzinfo) -> None:
        self._timezone = timezone
        self._patients: dict[str, tuple[str, datetime]] = {}
        self._degrees: dict[str, list[float]] = {}
        self._spoilt: dict[str, StudyFault] = {}
        self._rows: Counter[RowFault] = Counter()

    def take_file(self, key: str, chunks: Iterable[bytes]) -> None:
        lines = _lines(chunks)
        order = _column_order(key, next(lines, ""))
        refused = 0
        for number, line in enumerate(lines, start=2):
            if not line.strip():
                continue
            try:
                self._take(_parse(line, order, self._timezone))
            except _RowError as error:
                refused += 1
                self._refuse(error)
                if refused <= LOGGED_ROWS:
                    log.warning("%s line %d left out: %s", key, number, error.fault)
        if refused > LOGGED_ROWS:
            log.warning("%s: %d rows left out in all", key, refused)

    def finish(self) -> Reports:
        studies = tuple(
            Study(study_id, *self._patients[study_id], tuple(degrees))
            for study_id, degrees in sorted(self._degrees.items())
            if study_id not in self._spoilt
        )
        faults = Counter[str](self._spoilt.values()) + Counter[str](self._rows)
        return Reports(studies, dict(faults))

    def _take(self, row: _Row) -> None:
        patient, moment = self._patients.setdefault(row.study_id, (row.patient_id, row.performed_at))
        if patient != row.patient_id:
            self._spoilt.setdefault(row.study_id, StudyFault.TWO_PATIENTS)
        elif moment != row.performed_at:
            self._spoilt.setdefault(row.study_id, StudyFault.TWO_TIMES)
        degrees = self._degrees.setdefault(row.study_id, [0.0] * SEGMENTS)
        if row.segment:
            degrees[row.segment - 1] = max(degrees[row.segment - 1], row.degree)

    def _refuse(self, error: _RowError) -> None:
        self._rows[error.fault] += 1
        if error.study_id:
            self._spoilt.setdefault(error.study_id, StudyFault.ROW_UNUSABLE)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines of a chunked UTF-8 text, empty ones as well; what is not UTF-8 becomes U+FFFD."""
    rest = ""
    for text in codecs.iterdecode(chunks, "utf-8-sig", errors="replace"):
        *whole, rest = (rest + text).split("\n")
        yield from whole
    if rest:
        yield rest


def _fields(line: str) -> list[str]:
    """The fields of one line, none where it is torn or not text: a stray quote spoils no line but its own."""
    if "\N{REPLACEMENT CHARACTER}" in line:
        return []
    try:
        return [field.strip() for field in next(csv.reader([line.removesuffix("\r")], strict=True))]
    except csv.Error:
        return []


def _column_order(key: str, header: str) -> list[int]:
    names = _fields(header)
    if missing := [name for name in COLUMNS if name not in names]:
        raise StenceError(
            f"{key} is not a cath report: its first line lacks {', '.join(missing)}. "
            f"It must name the columns {', '.join(COLUMNS)}; mend or remove the file."
        )
    return [len(names), *(names.index(name) for name in COLUMNS)]


def _parse(line: str, order: Sequence[int], timezone: tzinfo) -> _Row:
    fields = _fields(line)
    width, *places = order
    if len(fields) != width:
        raise _RowError(RowFault.NOT_A_RECORD, _likely_id(line, places[0]))
    study_id, patient_id, performed_at, segment, degree = (fields[place] for place in places)
    if not study_id or not patient_id:
        raise _RowError(RowFault.ID_MISSING, study_id)
    return _Row(
        study_id,
        patient_id,
        _moment(performed_at, study_id, timezone),
        _segment(segment, study_id),
        _degree(degree, study_id, may_be_empty=not segment),
    )


def _likely_id(line: str, place: int) -> str:
    """The study that a torn line most likely belongs to."""
    parts = line.split(",")
    return parts[place].strip('" \r') if place < len(parts) else ""


def _moment(text: str, study_id: str, timezone: tzinfo) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _RowError(RowFault.TIME_UNREADABLE, study_id) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone)


def _segment(text: str, study_id: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= SEGMENTS):
        raise _RowError(RowFault.SEGMENT_UNKNOWN, study_id)
    return int(text)


def _degree(text: str, study_id: str, *, may_be_empty: bool) -> float:
    try:
        degree = float(text or ("0" if may_be_empty else "nan"))
    except ValueError:
        degree = math.nan
    if not 0 <= degree <= (0 if may_be_empty else 100):
        raise _RowError(RowFault.DEGREE_OUT_OF_RANGE, study_id)
    return degree
