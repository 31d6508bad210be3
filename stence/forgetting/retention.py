"""Remove what is older than the settings keep, in batches: a killed call is continued by the next one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, delete

from stence.database import audit, queries
from stence.database.outage import transact
from stence.database.tables import ecg_pages
from stence.errors import StoreUnavailableError
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.retry import retry
from stence.settings import Settings

BATCH = 10_000
"""Rows that one transaction removes."""
KINDS = ("scores", "embeddings", "measurements", "pages", "quarantine")

Times = Mapping[str, datetime | None]


def past_retention(engine: Engine, settings: Settings) -> dict[str, int]:
    """Count the rows that are past their retention, by kind."""

    def count(connection: Connection) -> dict[str, int]:
        found = connection.execute(queries.statement("retention_counts"), _times(settings))
        return dict(found.mappings().one())

    return transact(engine, settings.outage_seconds, count)


def apply(
    engine: Engine, store: ObjectStore, settings: Settings, progress: Progress = silent
) -> dict[str, int]:
    """Remove the rows that are past their retention, and count them by kind.

    Pages go first, because their rows name the files. Raises StoreUnavailableError and
    DatabaseUnavailableError after ``settings.outage_seconds``; what was removed stays removed.
    """
    times, counts = _times(settings), dict.fromkeys(KINDS, 0)
    for kind in ("pages", *(kind for kind in KINDS if kind != "pages")):
        step = partial(_pages, store, settings, times) if kind == "pages" else partial(_rows, kind, times)
        while removed := transact(engine, settings.outage_seconds, step):
            counts[kind] += removed
            progress(f"retention: {kind}", counts[kind])
    return counts


def _times(settings: Settings) -> Times:
    now = datetime.now(UTC)
    return {kind: settings.retention.oldest(kind, now) for kind in KINDS}


def _rows(kind: str, times: Times, connection: Connection) -> int:
    if times[kind] is None:
        return 0
    values = {"before": times[kind], "limit": BATCH}
    removed = connection.execute(queries.statement(f"retention_{kind}"), values).one()[0]
    return _record(connection, kind, removed)


def _pages(store: ObjectStore, settings: Settings, times: Times, connection: Connection) -> int:
    values = {"pages": times["pages"], "scores": times["scores"], "limit": BATCH}
    found = connection.execute(queries.statement("retention_pages"), values).all()
    for page in found:
        _remove_page(store, settings, connection, page)
    return _record(connection, "pages", len(found))


def _remove_page(store: ObjectStore, settings: Settings, connection: Connection, page: Any) -> None:
    retry(partial(store.delete, page.object_key), settings.outage_seconds, StoreUnavailableError)
    row = delete(ecg_pages).filter_by(content_hash=page.content_hash, model_version=page.model_version)
    connection.execute(row)


def _record(connection: Connection, kind: str, removed: int) -> int:
    if removed:
        why = f"STENCE_RETENTION__{kind.upper()}_DAYS"
        audit.record(connection, "rows.past_retention", kind, by="stence", why=why, rows=removed)
    return removed
