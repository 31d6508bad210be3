"""Rows of cath reports, from CSV and Parquet files: what is in their cells, or why they cannot be used.

Times are ISO 8601 or Parquet timestamps. CSV is UTF-8 with one record a line. Parquet is read batch by batch
of its row groups: memory does not grow with the file.
"""

from __future__ import annotations

import codecs
import csv
import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, tzinfo
from enum import StrEnum
from typing import IO, Any, NamedTuple

from stence.models.targets import SEGMENTS

COLUMNS = ("study_id", "patient_id", "performed_at", "segment", "degree")
INTERVENTION = "intervention_at"
"""A column that may be missing."""
ROWS_TOGETHER = 10_000

Cells = Mapping[str, str]


class RowFault(StrEnum):
    """Why a row cannot be used."""

    NOT_A_RECORD = "row_not_a_record"
    ID_MISSING = "row_id_missing"
    TIME_UNREADABLE = "row_time_unreadable"
    SEGMENT_UNKNOWN = "row_segment_unknown"
    DEGREE_OUT_OF_RANGE = "row_degree_out_of_range"


class FileFault(StrEnum):
    """Why no more of a file can be used."""

    COLUMN_MISSING = "file_column_missing"
    UNREADABLE = "file_unreadable"


class RowError(Exception):
    """The row cannot be used; ``study_id`` is the study that it most likely belongs to, or empty."""

    def __init__(self, fault: RowFault, study_id: str = "") -> None:
        super().__init__(fault)
        self.fault = fault
        self.study_id = study_id


class FileError(Exception):
    """The file cannot be used, from where it is read."""

    def __init__(self, fault: FileFault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


class Row(NamedTuple):
    """A usable row: one narrowed segment, or none where ``segment`` is None."""

    study_id: str
    patient_id: str
    performed_at: datetime
    segment: int | None
    degree: float
    intervention_at: datetime | None


def is_report(key: str) -> bool:
    """Whether an object's name is that of a cath report."""
    return key.lower().endswith((".csv", ".parquet"))


def read_rows(
    key: str,
    chunks: Iterable[bytes],
    columns: Sequence[str] = COLUMNS,
    optional: Sequence[str] = (INTERVENTION,),
) -> Iterator[tuple[int, Cells | RowError]]:
    """Number and cells of every row; a CSV's by line from the header's 1, a Parquet's by row from 1.

    The first of ``columns`` holds the id; the ``optional`` ones may be missing. Raises FileError where the
    file is no table with these columns, or damaged.
    """
    if key.lower().endswith(".parquet"):
        return _parquet_rows(chunks, columns, optional)
    return _csv_rows(chunks, columns)


def parse(cells: Cells, timezone: tzinfo) -> Row:
    """The row in the cells; times without a zone are in ``timezone``. Raises RowError."""
    study_id, patient_id, performed_at, segment, degree = (cells[name] for name in COLUMNS)
    if not study_id or not patient_id:
        raise RowError(RowFault.ID_MISSING, study_id)
    intervention = cells.get(INTERVENTION)
    return Row(
        study_id,
        patient_id,
        _moment(performed_at, study_id, timezone),
        _segment(segment, study_id),
        _degree(degree, study_id, may_be_empty=not segment),
        _moment(intervention, study_id, timezone) if intervention else None,
    )


def _csv_rows(chunks: Iterable[bytes], columns: Sequence[str]) -> Iterator[tuple[int, Cells | RowError]]:
    lines = _lines(chunks)
    names = _fields(next(lines, ""))
    _check_columns(names, columns)
    place = names.index(columns[0])
    for number, line in enumerate(lines, start=2):
        if line.strip():
            fields = _fields(line)
            torn = len(fields) != len(names)
            yield number, _torn(line, place) if torn else dict(zip(names, fields, strict=True))


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
    if "\N{REPLACEMENT CHARACTER}" in line or "\0" in line:
        return []
    try:
        return [field.strip() for field in next(csv.reader([line.removesuffix("\r")], strict=True))]
    except csv.Error:
        return []


def _torn(line: str, place: int) -> RowError:
    parts = line.split(",")
    likely = parts[place].strip('" \r\0') if place < len(parts) else ""
    return RowError(RowFault.NOT_A_RECORD, likely)


def _check_columns(names: Sequence[str], columns: Sequence[str]) -> None:
    if missing := [name for name in columns if name not in names]:
        raise FileError(FileFault.COLUMN_MISSING, f"it lacks {', '.join(missing)} of {', '.join(columns)}")


def _parquet_rows(
    chunks: Iterable[bytes], columns: Sequence[str], optional: Sequence[str]
) -> Iterator[tuple[int, Cells | RowError]]:
    from pyarrow import ArrowException  # noqa: PLC0415 -- only hospitals that send Parquet need it

    with tempfile.TemporaryFile() as file:
        file.writelines(chunks)
        file.seek(0)
        try:
            yield from _read_parquet(file, columns, optional)
        except (ArrowException, OSError, ValueError, OverflowError):  # their texts can quote cells
            raise FileError(FileFault.UNREADABLE, "it is damaged, or no Parquet file") from None


def _read_parquet(
    file: IO[bytes], columns: Sequence[str], optional: Sequence[str]
) -> Iterator[tuple[int, Cells | RowError]]:
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415

    parquet, number = ParquetFile(file), 0
    _check_columns(parquet.schema_arrow.names, columns)
    wanted = [name for name in (*columns, *optional) if name in parquet.schema_arrow.names]
    for batch in parquet.iter_batches(ROWS_TOGETHER, columns=wanted):
        for values in batch.to_pylist():
            number += 1
            cells = {name: _cell(value) for name, value in values.items()}
            torn = any("\0" in cell for cell in cells.values())
            yield number, RowError(RowFault.NOT_A_RECORD) if torn else cells


def _cell(value: Any) -> str:
    """A Parquet value as CSV would have it; whole numbers may come as floats, with NaN for nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, date) else str(value).strip()


def _moment(text: str, study_id: str, timezone: tzinfo) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RowError(RowFault.TIME_UNREADABLE, study_id) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone)


def _segment(text: str, study_id: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= SEGMENTS):
        raise RowError(RowFault.SEGMENT_UNKNOWN, study_id)
    return int(text)


def _degree(text: str, study_id: str, *, may_be_empty: bool) -> float:
    try:
        degree = float(text or ("0" if may_be_empty else "nan"))
    except ValueError:
        degree = math.nan
    if not 0 <= degree <= (0 if may_be_empty else 100):
        raise RowError(RowFault.DEGREE_OUT_OF_RANGE, study_id)
    return degree
