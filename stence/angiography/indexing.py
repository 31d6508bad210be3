"""Index angiograms: record new and changed files, read their headers, and match them with cath studies.

Pixels are not read here. An angiogram without a report waits for it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice

from sqlalchemy import Connection, Engine

from stence.angiography import refusals
from stence.angiography.heads import read_heads
from stence.angiography.reasons import Reason, refuse
from stence.angiography.refusals import Refusal
from stence.database import queries
from stence.database.outage import transact
from stence.discretion import plain
from stence.ingest.grouping import IndexedFile, record_key
from stence.ingest.indexing import ROWS_TOGETHER, record
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.settings import Settings

log = logging.getLogger(__name__)

CATALOGUE = "DICOMDIR"
"""Name of the directory file of a DICOM medium."""


@dataclass(slots=True)
class AngiogramSummary:
    """Counts of one listing, and of all angiograms by state after it."""

    new: int = 0
    changed: int = 0
    ready: int = 0
    to_prepare: int = 0
    without_study: int = 0
    quarantined: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)


def index_angiograms(
    engine: Engine, store: ObjectStore, settings: Settings, progress: Progress = silent
) -> AngiogramSummary:
    """Record new and changed angiograms below ``settings.angiogram_prefix`` and match them with studies.

    Every object except a DICOMDIR counts as an angiogram, because archives export files without extension
    too. Unusable angiograms go to quarantine. Raises StoreUnavailableError or DatabaseUnavailableError after
    ``settings.outage_seconds``; earlier batches are kept.
    """
    new, changed = _list(engine, store, settings, progress)
    read_heads(engine, store, settings, progress)
    match_angiograms(engine, settings)
    summary = AngiogramSummary(new, changed, **transact(engine, settings.outage_seconds, _count))
    log.info("angiograms of %s: %s", plain(store.url), summary.as_dict())
    return summary


def match_angiograms(engine: Engine, settings: Settings) -> None:
    """Match every angiogram with its cath study; refuse it if the study's report names another patient."""
    transact(engine, settings.outage_seconds, _match)


def _match(connection: Connection) -> None:
    refusals.write(connection, _mismatched(connection))
    connection.execute(queries.statement("match_angiograms"))
    connection.execute(queries.statement("resolve_angiograms"))


def _list(engine: Engine, store: ObjectStore, settings: Settings, progress: Progress) -> tuple[int, int]:
    files, new, changed, listed = _files(store, settings.angiogram_prefix), 0, 0, 0
    while rows := list(islice(files, ROWS_TOGETHER)):
        added, replaced = transact(engine, settings.outage_seconds, record, rows, "angiogram")
        new, changed, listed = new + added, changed + replaced, listed + len(rows)
        progress("angiograms", listed, note=f"{new} new")
    transact(engine, settings.outage_seconds, _enqueue)
    return new, changed


def _files(store: ObjectStore, prefix: str) -> Iterator[IndexedFile]:
    for item in store.list(prefix):
        if item.key.rpartition("/")[2] != CATALOGUE:
            yield IndexedFile(item.key, record_key(item.key), item.etag, item.size)


def _enqueue(connection: Connection) -> None:
    connection.execute(queries.statement("enqueue_angiograms"))


def _mismatched(connection: Connection) -> list[Refusal]:
    error = refuse(
        Reason.PATIENT_MISMATCH, "the cath report of its study, by its number, names another patient"
    )
    found = connection.execute(queries.statement("mismatched_angiograms"))
    return [Refusal(object_id, etag, error.reason, error.detail) for object_id, etag in found]


def _count(connection: Connection) -> dict[str, int]:
    return dict(connection.execute(queries.statement("count_angiograms")).mappings().one())
