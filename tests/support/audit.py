"""The audit's entries, and what a superuser can do to them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, select, text

from stence.database import audit
from stence.database.tables import flags

ENTRIES = """
SELECT action, subject, person, reason, detail FROM audit.entries JOIN audit.links ON entry_id = id
WHERE id > :after ORDER BY position
"""


def entries(engine: Engine, after: int = 0) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(ENTRIES), {"after": after}))


def last(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(text("SELECT coalesce(max(id), 0) FROM audit.entries")) or 0


def execute(engine: Engine, statement: str, **values: Any) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement), values)


def add(engine: Engine, count: int = 1) -> None:
    for number in range(count):
        with engine.begin() as connection:
            audit.record(connection, "test.added", f"thing {number}", by="Dr A", why="a test")


def tamper(engine: Engine, statement: str, **values: Any) -> None:
    """What a superuser can do: no trigger and no foreign key is looked at."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(statement), values)


def flag_ids(engine: Engine, state: str = "open") -> list[int]:
    with engine.connect() as connection:
        return list(connection.scalars(select(flags.c.id).where(flags.c.state == state).order_by(flags.c.id)))
