"""Parse rows of cath reports; an unusable row raises RowError."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from typing import NamedTuple

from stence.domain.targets import SEGMENTS
from stence.ingest.tables import Cells, RowError, RowFault, named_id, named_patient, named_time

COLUMNS = ("study_id", "patient_id", "performed_at", "segment", "degree")
INTERVENTION, REPORTED = "intervention_at", "reported_at"
OPTIONAL = (INTERVENTION, REPORTED)
"""Optional columns."""

_DEGREE = re.compile(r"\d{1,3}(\.\d{1,9})?", re.ASCII)
_SEGMENT = re.compile(r"\d{1,2}", re.ASCII)


class Row(NamedTuple):
    """A usable row: one narrowed segment; ``segment`` is None for a study without stenosis.

    ``parse`` gives the patient's number; ``stence.ingest.reports`` replaces it by the pseudonym.
    """

    study_id: str
    patient_id: str
    performed_at: datetime
    segment: int | None
    degree: float
    intervention_at: datetime | None
    reported_at: datetime | None


def parse(cells: Cells, timezone: tzinfo) -> Row:
    """Parse the cells into a row; times without a zone are in ``timezone``. Raises RowError."""
    study_id = named_id(cells["study_id"])
    segment = _segment(cells["segment"], study_id)
    intervention, reported = (
        named_time(cells[name], timezone, study_id) if cells.get(name) else None for name in OPTIONAL
    )
    return Row(
        study_id,
        named_patient(cells["patient_id"], study_id),
        named_time(cells["performed_at"], timezone, study_id),
        segment,
        _degree(cells["degree"], segment, study_id),
        intervention,
        reported,
    )


def _segment(text: str, study_id: str) -> int | None:
    if not text:
        return None
    if not (_SEGMENT.fullmatch(text) and 1 <= int(text) <= SEGMENTS):
        raise RowError(RowFault.SEGMENT_UNKNOWN, study_id)
    return int(text)


def _degree(text: str, segment: int | None, study_id: str) -> float:
    """Parse percent. Reports give no degree below 1 %, so a value between 0 and 1 is a fraction: RowError."""
    if segment is None and not text:
        return 0.0
    if not _DEGREE.fullmatch(text) or float(text) > (100 if segment else 0):
        raise RowError(RowFault.DEGREE_OUT_OF_RANGE, study_id)
    if 0 < float(text) < 1:
        raise RowError(RowFault.DEGREE_FRACTION, study_id)
    return float(text)
