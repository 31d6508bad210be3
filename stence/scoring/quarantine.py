"""Actions of a person on quarantined ECGs and angiograms: list, retry, dismiss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select, update

from stence.database import queries
from stence.database.tables import objects, quarantine


def list_open(
    connection: Connection, *, reason: str | None = None, limit: int = 50
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return columns and rows of the open quarantine entries, newest first."""
    q = quarantine.c
    statement = (
        select(q.id, objects.c.key, q.reason, q.lead, q.value, q.detail, q.entered_at)
        .join(objects, objects.c.id == q.object_id)
        .where(q.state == "open")
        .order_by(q.entered_at.desc(), q.id)
        .limit(limit)
    )
    if reason:
        statement = statement.where(q.reason == reason)
    result = connection.execute(statement)
    return list(result.keys()), [tuple(row) for row in result]


def retry(connection: Connection, *, ids: Sequence[int] | None = None, reason: str | None = None) -> int:
    """Make open rows pending again, by ``ids``, by ``reason``, or all. Return their number.

    ECGs become pending for every model.
    """
    values = {"ids": list(ids) if ids else None, "reason": reason}
    return int(connection.execute(queries.statement("retry_quarantine"), values).scalar_one())


def dismiss(connection: Connection, *, ids: Sequence[int], by: str) -> int:
    """Dismiss open rows permanently, and return their number. Dismissed files cause no patient conflicts."""
    statement = (
        update(quarantine)
        .where(queries.among(quarantine.c.id, ids), quarantine.c.state == "open")
        .values(state="dismissed", closed_by=by, closed_at=func.now())
    )
    return connection.execute(statement).rowcount
