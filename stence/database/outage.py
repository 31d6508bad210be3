"""Wait out outages of Postgres, and retry transactions that it rolled back."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from stence.database.words import said, state_of
from stence.errors import DatabaseUnavailableError
from stence.retry import retry

OUTAGE_STATES = frozenset(
    {
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now: starting up or shutting down
        "53100",  # disk_full
        "53200",  # out_of_memory
        "53300",  # too_many_connections
        "25006",  # read_only_sql_transaction: a standby that is not promoted yet
    }
)
COLLISION_STATES = frozenset(
    {
        "40P01",  # deadlock_detected
        "40001",  # serialization_failure
    }
)
COLLISION_TRIES = 5
LONGEST_COLLISION_PAUSE_SECONDS = 0.1

T = TypeVar("T")
P = ParamSpec("P")


def transact(
    engine: Engine,
    seconds: float,
    work: Callable[Concatenate[Connection, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Return ``work(connection, ...)``, run in a transaction of its own; wait out outages of Postgres.

    The transaction is retried for ``seconds`` while the server is down, and if it collides with another
    transaction. ``work`` must be idempotent: a connection may break after the server has committed.
    Raises DatabaseUnavailableError when the time is over, other errors at once.
    """

    def attempt() -> T:
        with engine.begin() as connection:
            return work(connection, *args, **kwargs)

    return retry_outages(attempt, seconds)


def retry_outages(action: Callable[[], T], seconds: float) -> T:
    """Return the result of ``action``; retry it for ``seconds`` while the server is down.

    ``action`` must open its own transaction and be idempotent: a connection may break after the server has
    committed. Raises DatabaseUnavailableError when the time is over, other errors at once.
    """

    def attempt() -> T:
        try:
            return repeated(action)
        except (DBAPIError, psycopg.Error) as error:
            if is_outage(error):
                raise DatabaseUnavailableError(f"Postgres does not answer ({said(error)}).") from error
            if is_collision(error):
                raise DatabaseUnavailableError(
                    f"Postgres took a transaction back {COLLISION_TRIES} times ({said(error)}): "
                    "other processes write the same rows."
                ) from error
            raise

    return retry(attempt, seconds, DatabaseUnavailableError)


def repeated(action: Callable[[], T]) -> T:
    """Return the result of ``action``; retry it if its transaction collides with another.

    After COLLISION_TRIES attempts the error is raised unchanged.
    """
    for left in reversed(range(COLLISION_TRIES)):
        try:
            return action()
        except (DBAPIError, psycopg.Error) as error:
            if not left or not is_collision(error):
                raise
        time.sleep(random.uniform(0, LONGEST_COLLISION_PAUSE_SECONDS))  # noqa: S311 - no secret
    raise AssertionError("the last try returns or raises")


def is_collision(error: DBAPIError | psycopg.Error) -> bool:
    """True if this transaction was rolled back because of a conflict with another one."""
    return state_of(error) in COLLISION_STATES


def is_outage(error: DBAPIError | psycopg.Error) -> bool:
    """True if the server is down, unreachable or full; false if the statement is wrong."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg.Error):
        return False
    lost = isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None
    state = cause.sqlstate or ""
    return lost or state.startswith("08") or state in OUTAGE_STATES
