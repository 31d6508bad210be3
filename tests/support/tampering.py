"""What the flows' role may not do, and tests must; without pytest, for benchmarks on hosts that lack it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text


@contextmanager
def tampering(engine: Engine) -> Iterator[Connection]:
    """A transaction with the rights of the login, for what the flows' role may not do."""
    with engine.begin() as connection:
        allow_changes(connection)
        yield connection


def allow_changes(connection: Connection) -> None:
    """Give a transaction the rights of the login, and let it change flags and scores by statements."""
    connection.execute(text("SET LOCAL ROLE NONE"))
    connection.execute(text("SELECT audit.act_for('test', 'a test prepares its database')"))
