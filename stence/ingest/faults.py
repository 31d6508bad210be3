"""Unusable rows of manifests, cath reports and merge tables: one row of ``source_faults`` each."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum, auto
from typing import NamedTuple

from sqlalchemy import Connection

from stence.database import queries
from stence.database.copy import copy_rows


class SourceKind(StrEnum):
    """Kind of the source file; the values are stored in ``source_faults.kind``."""

    MANIFEST = auto()
    REPORT = auto()
    MERGE = auto()


class Fault(NamedTuple):
    """An unusable or contradictory row: its source, its line, and a reason code.

    Line 0 is the whole file.
    """

    source_key: str
    line: int
    reason: str


def write_faults(
    connection: Connection, kind: SourceKind, faults: Iterable[Fault], source_key: str | None = None
) -> None:
    """Replace the open faults of a kind, or of one source of that kind; close faults that no longer occur."""
    connection.execute(queries.statement("stage_faults"))
    copy_rows(connection, "staged_faults", Fault._fields, faults)
    connection.execute(queries.statement("faults_01_seen"), {"kind": kind})
    connection.execute(queries.statement("faults_02_mended"), {"kind": kind, "source_key": source_key})


def log_faults(log: logging.Logger, kind: SourceKind, key: str, reasons: Counter[str]) -> None:
    """Log the number of unusable rows of a source by reason, without patient identifiers."""
    if reasons:
        said = "%s: rows that cannot be used: %s; stence query unusable_rows names them"
        log.warning(
            said, kind, {str(reason): count for reason, count in reasons.items()}, extra={"object_key": key}
        )
