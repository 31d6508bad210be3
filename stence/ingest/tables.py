"""Read the rows of a hospital's CSV and Parquet files strictly.

CSV is UTF-8 by RFC 4180, without line breaks inside fields: a stray quote damages only its own line.
Parquet is read in batches of its row groups. Memory does not grow with the file in either format.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, tzinfo
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any

from stence.domain.patients import PatientIdError, patient_id
from stence.domain.times import plausible_time

if TYPE_CHECKING:
    from pyarrow import RecordBatch, Schema

MAX_LINE_CHARACTERS = 65_536
"""A longer line is not a record."""
MAX_ID_CHARACTERS = 128
MAX_ROW_GROUP_BYTES = 2**30
"""Maximum uncompressed size of a Parquet row group; pyarrow holds one row group in memory."""
ROWS_TOGETHER = 10_000

Cells = Mapping[str, str]

_FIELD = r'(?:"(?:[^"]|"")*"|[^",]*)'
_RECORD = re.compile(rf"{_FIELD}(?:,{_FIELD})*")


class RowFault(StrEnum):
    """Reasons why a row cannot be used."""

    NOT_A_RECORD = "row_not_a_record"
    ID_MISSING = "row_id_missing"
    ID_UNREADABLE = "row_id_unreadable"
    PATH_UNUSABLE = "row_path_unusable"
    TIME_UNREADABLE = "row_time_unreadable"
    TIME_IMPLAUSIBLE = "row_time_implausible"
    DATE_WITHOUT_TIME = "row_date_without_time"
    SEGMENT_UNKNOWN = "row_segment_unknown"
    DEGREE_OUT_OF_RANGE = "row_degree_out_of_range"
    DEGREE_FRACTION = "row_degree_fraction"
    MERGE_CONTRADICTED = "row_merge_contradicted"
    MERGE_CIRCULAR = "row_merge_circular"
    MERGE_OPTED_OUT = "row_merge_opted_out"


class FileFault(StrEnum):
    """Reasons why a file, or the rest of it, cannot be used."""

    COLUMN_MISSING = "file_column_missing"
    COLUMN_DOUBLED = "file_column_doubled"
    UNREADABLE = "file_unreadable"
    NOT_FETCHED = "file_not_fetched"
    TIMES_OF_DAY_EQUAL = "file_times_of_day_equal"
    """A warning only: the times are dates, written as midnight or noon."""


class RowError(Exception):
    """The row cannot be used; ``record_id`` is its most likely record, or empty."""

    def __init__(self, fault: RowFault | FileFault, record_id: str = "") -> None:
        super().__init__(fault)
        self.fault = fault
        self.record_id = record_id


class FileError(Exception):
    """The rest of the file cannot be used."""

    def __init__(self, fault: FileFault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


def is_table(key: str) -> bool:
    """True if the key has the extension of a table."""
    return key.lower().endswith((".csv", ".parquet"))


def read_rows(
    key: str, chunks: Iterable[bytes], columns: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[tuple[int, Cells | RowError]]:
    """Yield number and cells of every row: the line in a CSV (the header is 1), the row from 1 in a Parquet.

    The first of ``columns`` holds the id; ``optional`` columns may be missing. Raises FileError if the file
    is damaged, lacks one of the columns, or has a column twice.
    """
    if key.lower().endswith(".parquet"):
        return _parquet_rows(chunks, columns, optional)
    return _csv_rows(chunks, columns, optional)


def named_patient(text: str, record_id: str = "") -> str:
    """Parse the patient number in a cell. Raises RowError if it is empty, a placeholder or unreadable."""
    try:
        found = patient_id(text)
    except PatientIdError:
        raise RowError(RowFault.ID_UNREADABLE, record_id) from None
    if found is None:
        raise RowError(RowFault.ID_MISSING, record_id)
    return found


def named_id(text: str) -> str:
    """Parse another identifier in a cell, such as a study's. Raises RowError if it is empty or unreadable."""
    if not text:
        raise RowError(RowFault.ID_MISSING)
    if len(text) > MAX_ID_CHARACTERS or not text.isprintable():
        raise RowError(RowFault.ID_UNREADABLE, text[:MAX_ID_CHARACTERS])
    return text


def named_time(text: str, zone: tzinfo, record_id: str = "") -> datetime:
    """Parse the ISO 8601 time in a cell; a time without a zone is in ``zone``.

    Raises RowError if it is unreadable, a date without a time, or implausible.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RowError(RowFault.TIME_UNREADABLE, record_id) from None
    if re.fullmatch(r"[\dW-]+", text):
        raise RowError(RowFault.DATE_WITHOUT_TIME, record_id)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    if not plausible_time(aware):
        raise RowError(RowFault.TIME_IMPLAUSIBLE, record_id)
    return aware


def _csv_rows(
    chunks: Iterable[bytes], columns: Sequence[str], optional: Sequence[str]
) -> Iterator[tuple[int, Cells | RowError]]:
    lines = _lines(chunks)
    names = _fields(next(lines, ""))
    _check_columns(names, columns, optional)
    place = names.index(columns[0])
    for number, line in enumerate(lines, start=2):
        if line.strip():
            fields = _fields(line)
            torn = len(fields) != len(names)
            yield number, _torn(line, place) if torn else dict(zip(names, fields, strict=True))


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Split chunks of UTF-8 text into lines with any line ending; invalid bytes become U+FFFD.

    A line that is too long is cut, but stays longer than the limit.
    """
    decoder = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder("utf-8-sig")("replace"), translate=True
    )
    rest = ""
    for chunk in chunks:
        *whole, rest = (rest + decoder.decode(chunk)).split("\n")
        rest = rest[: MAX_LINE_CHARACTERS + 1]
        yield from whole
    *whole, rest = (rest + decoder.decode(b"", final=True)).split("\n")
    yield from whole
    if rest:
        yield rest


def _fields(line: str) -> list[str]:
    """Split one line into fields; an empty list if the line is not a record or not text."""
    if len(line) > MAX_LINE_CHARACTERS or "\N{REPLACEMENT CHARACTER}" in line or "\0" in line:
        return []
    if '"' not in line:
        return [field.strip() for field in line.split(",")]
    if not _RECORD.fullmatch(line):
        return []
    return [field.strip() for field in next(csv.reader([line], strict=True))]


def _torn(line: str, place: int) -> RowError:
    parts = line[:MAX_LINE_CHARACTERS].split(",")
    likely = parts[place].strip('" \0') if place < len(parts) else ""
    return RowError(RowFault.NOT_A_RECORD, likely[:MAX_ID_CHARACTERS])


def _check_columns(names: Sequence[str], columns: Sequence[str], optional: Sequence[str]) -> None:
    if missing := [name for name in columns if name not in names]:
        raise FileError(FileFault.COLUMN_MISSING, f"it lacks {', '.join(missing)} of {', '.join(columns)}")
    if doubled := [name for name in (*columns, *optional) if names.count(name) > 1]:
        raise FileError(FileFault.COLUMN_DOUBLED, f"it has {', '.join(doubled)} more than once")


def _parquet_rows(
    chunks: Iterable[bytes], columns: Sequence[str], optional: Sequence[str]
) -> Iterator[tuple[int, Cells | RowError]]:
    from pyarrow import ArrowException  # noqa: PLC0415 -- needed only for Parquet files

    with tempfile.TemporaryFile() as file:
        file.writelines(chunks)
        file.seek(0)
        try:
            yield from _read_parquet(file, columns, optional)
        except (ArrowException, OSError, ValueError, OverflowError):  # their texts can quote cells
            raise FileError(FileFault.UNREADABLE, "it is damaged, or not a Parquet file") from None


def _read_parquet(
    file: IO[bytes], columns: Sequence[str], optional: Sequence[str]
) -> Iterator[tuple[int, Cells | RowError]]:
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415

    parquet, number = ParquetFile(file), 0
    _check_columns(parquet.schema_arrow.names, columns, optional)
    groups = (parquet.metadata.row_group(group) for group in range(parquet.num_row_groups))
    if any(group.total_byte_size > MAX_ROW_GROUP_BYTES for group in groups):
        raise FileError(FileFault.UNREADABLE, f"a row group is larger than {MAX_ROW_GROUP_BYTES >> 20} MiB")
    wanted = [name for name in (*columns, *optional) if name in parquet.schema_arrow.names]
    for batch in parquet.iter_batches(ROWS_TOGETHER, columns=wanted):
        for values in _in_utc(batch).to_pylist():
            number += 1
            cells = {name: _cell(value) for name, value in values.items()}
            torn = any("\0" in cell or "\N{REPLACEMENT CHARACTER}" in cell for cell in cells.values())
            yield number, RowError(RowFault.NOT_A_RECORD) if torn else cells


def _in_utc(batch: RecordBatch) -> RecordBatch:
    """Convert times to microseconds, and to UTC if they have a zone, because its name may be unknown."""
    import pyarrow  # noqa: PLC0415

    def target(kind: Any) -> Any:
        if not pyarrow.types.is_timestamp(kind):
            return kind
        return pyarrow.timestamp("us", tz="UTC" if kind.tz else None)

    schema: Schema = pyarrow.schema([(field.name, target(field.type)) for field in batch.schema])
    return batch.cast(schema, safe=False)


def _cell(value: Any) -> str:
    """Format a Parquet value as in CSV. Whole numbers may be stored as floats; NaN is an empty cell."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, date) else str(value).strip()
