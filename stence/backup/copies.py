"""Recognise the files of ECGs in a folder that is a copy of the one that the backup knew.

The version of a file in a folder is its size, time and inode, and a copy has another inode. Without this
step, everything would be read and scored again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func, select

from stence.database import copy_rows, queries
from stence.database.outage import transact
from stence.database.tables import store_listings
from stence.ingest.grouping import IndexedFile, ecg_files, record_key
from stence.ingest.indexing import ROWS_TOGETHER, ecg_objects
from stence.objects import LocalStore, ObjectStore, StoredObject
from stence.objects.local_walk import changed_at
from stence.preparation.layouts import read_layouts
from stence.progress import Progress, silent
from stence.settings import Settings


class _Dated(NamedTuple):
    """An ECG, and the time when the last of its files was changed."""

    file: IndexedFile
    changed_at: datetime


def take_over_copies(
    engine: Engine, store: ObjectStore, settings: Settings, progress: Progress = silent
) -> int:
    """Let ECGs of the same key and size count as known that did not change since the last full listing.

    They must have been copied with their times. Returns their number; 0 for a bucket, whose versions follow
    from the content. Raises StoreUnavailableError, DatabaseUnavailableError.
    """
    listed_at = transact(engine, settings.outage_seconds, _last_listing, settings)
    if not isinstance(store, LocalStore) or listed_at is None:
        return 0
    same = (each.file for each in _dated(store, settings) if each.changed_at < listed_at)
    known = 0
    while rows := list(islice(same, ROWS_TOGETHER)):
        known += transact(engine, settings.outage_seconds, _take_over, rows)
        progress("copies", known)
    transact(engine, settings.outage_seconds, _settle_parts)
    return known


def _last_listing(connection: Connection, settings: Settings) -> datetime | None:
    columns = store_listings.c
    full = columns.extent == "full", columns.prefix == settings.ecg_prefix
    return connection.scalar(select(func.max(columns.started_at)).where(*full))


def _dated(store: LocalStore, settings: Settings) -> Iterator[_Dated]:
    """Yield the ECGs of the store. Only times of records that are being listed are in memory."""
    times: dict[str, datetime] = {}

    def watched(listing: Iterable[StoredObject]) -> Iterator[StoredObject]:
        for item in listing:
            stem, at = record_key(item.key), changed_at(item)
            times[stem] = max(at, times.get(stem, at))
            yield item

    layouts = read_layouts(store, settings)
    files = ecg_files(watched(ecg_objects(store, settings, layouts)), layouts)
    for stem, record in groupby(files, lambda file: file.record_key):
        at = times.pop(stem, datetime.now(UTC))
        yield from (_Dated(file, at) for file in record)


def _take_over(connection: Connection, rows: list[IndexedFile]) -> int:
    connection.execute(queries.statement("stage_objects"))
    copy_rows(connection, "staged_objects", IndexedFile._fields, rows)
    return connection.scalar(queries.statement("copies_01_files")) or 0


def _settle_parts(connection: Connection) -> None:
    connection.execute(queries.statement("copies_02_records"))
