"""Read ECG labels from a table in the store, or from the headers of WFDB records.

A table is CSV or Parquet with the columns ``record`` (the ECG's key in the store without ``.hea`` or
``.dcm``), ``patient_id`` (may be missing or empty) and one column per label: 1 or 0, true or false, empty if
unknown. Unusable rows and records with contradictory rows are counted.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from stence.concurrency import in_order
from stence.discretion import plain
from stence.domain.patients import PatientIdError, patient_id
from stence.ecg.formats.wfdb_header import MAX_HEADER_BYTES
from stence.errors import ConfigurationError, ObjectError
from stence.ingest.tables import Cells, FileError, RowError, RowFault, read_rows
from stence.labels.config import HeaderSource, LabelsConfig, TableSource
from stence.labels.diagnoses import read_diagnoses
from stence.objects import ObjectStore
from stence.progress import Progress
from stence.settings import Settings

ID, PATIENT = "record", "patient_id"
HEADER = ".hea"
LABEL_UNREADABLE = "row_label_unreadable"
CONTRADICTED = "record_contradicted"
UNKNOWN = "record_without_known_label"
NO_DIAGNOSES = "header_without_diagnoses"
CLOSED = "header_not_readable"
LOGGED_ROWS = 20
"""Maximum number of unusable rows that are logged one by one; all are counted."""
ANSWERS = {
    "": math.nan,
    **dict.fromkeys(("0", "0.0", "false"), 0.0),
    **dict.fromkeys(("1", "1.0", "true"), 1.0),
}

log = logging.getLogger(__name__)


class Labelled(NamedTuple):
    """An ECG's labels (1, 0, or NaN if unknown), and its patient if the source names one."""

    record: str
    patient_id: str | None
    answers: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LabelTable:
    """The labelled ECGs sorted by record, and counts of excluded rows and records by reason."""

    names: tuple[str, ...]
    rows: tuple[Labelled, ...]
    left_out: Mapping[str, int]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the names and rows."""
        return hashlib.sha256(repr((self.names, self.rows)).encode()).hexdigest()


def read_labels(
    store: ObjectStore, settings: Settings, config: LabelsConfig, progress: Progress
) -> LabelTable:
    """Read the labels that a configuration names.

    Raises ConfigurationError if the table is missing or cannot be read; StoreUnavailableError.
    """
    if config.headers is not None:
        return _from_headers(store, settings, config.headers, progress)
    if config.table is None:
        raise ConfigurationError("neither a table nor headers are named")
    return _from_table(store, config.table)


def _from_table(store: ObjectStore, source: TableSource) -> LabelTable:
    found: dict[str, Labelled] = {}
    spoilt: set[str] = set()
    left_out: Counter[str] = Counter()
    try:
        for line, cells in read_rows(source.key, store.stream(source.key), (ID, *source.labels), (PATIENT,)):
            row = _row(cells, source.labels)
            if isinstance(row, str):
                left_out[row] += 1
                if left_out.total() <= LOGGED_ROWS:
                    log.warning(
                        "the table's line %d left out: %s", line, plain(row), extra={"object_key": source.key}
                    )
            elif repr(found.setdefault(row.record, row)) != repr(row):  # NaN is not equal to itself
                spoilt.add(row.record)
    except (FileError, ObjectError) as error:
        raise ConfigurationError(f"{source.key} is no table of labels: {error}") from None
    left_out[CONTRADICTED] = len(spoilt)
    rows = (row for record, row in found.items() if record not in spoilt)
    return known_rows(source.labels, rows, left_out)


def _row(cells: Cells | RowError, labels: tuple[str, ...]) -> Labelled | str:
    """Parse the cells into a row, or return the reason why they cannot be used."""
    if isinstance(cells, RowError):
        return cells.fault
    if not cells[ID]:
        return RowFault.ID_MISSING
    try:
        patient = patient_id(cells.get(PATIENT))
    except PatientIdError:
        return RowFault.ID_UNREADABLE
    answers = [ANSWERS.get(cells[name].lower()) for name in labels]
    known = tuple(answer for answer in answers if answer is not None)
    if len(known) < len(answers):
        return LABEL_UNREADABLE
    return Labelled(cells[ID], patient, known)


def _from_headers(
    store: ObjectStore, settings: Settings, source: HeaderSource, progress: Progress
) -> LabelTable:
    keys = [found.key for found in store.list(source.prefix) if found.key.endswith(HEADER)]
    rows: list[Labelled] = []
    left_out: Counter[str] = Counter()
    headers = in_order(lambda key: _header(store, key), keys, settings.fetch_threads)
    for done, (key, header) in enumerate(zip(keys, headers, strict=True), start=1):
        diagnoses = read_diagnoses(header) if header is not None else None
        if diagnoses is not None:
            answers = tuple(diagnoses.answer(terms) for terms in source.labels.values())
            rows.append(Labelled(key[: -len(HEADER)], None, answers))
        else:
            left_out[CLOSED if header is None else NO_DIAGNOSES] += 1
        progress("headers", done, len(keys))
    return known_rows(tuple(source.labels), iter(rows), left_out)


def _header(store: ObjectStore, key: str) -> bytes | None:
    try:
        return store.get(key, MAX_HEADER_BYTES)
    except ObjectError:
        return None


def known_rows(names: tuple[str, ...], rows: Iterator[Labelled], left_out: Counter[str]) -> LabelTable:
    """Build the table of the rows with a known label, and count the others."""
    known = []
    for row in rows:
        if all(map(math.isnan, row.answers)):
            left_out[UNKNOWN] += 1
        else:
            known.append(row)
    return LabelTable(names, tuple(sorted(known, key=lambda row: row.record)), +left_out)
