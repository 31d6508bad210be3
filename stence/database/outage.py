"""Waiting for a Postgres that went away."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import psycopg
from sqlalchemy.exc import DBAPIError

from stence import patience
from stence.errors import DatabaseUnavailableError

OUTAGE_STATES = frozenset(
    {
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now: starting up or shutting down
        "53300",  # too_many_connections
        "25006",  # read_only_sql_transaction: a standby that is not promoted yet
    }
)

T = TypeVar("T")


def patiently(action: Callable[[], T], seconds: float) -> T:
    """The result of ``action``; where it fails for want of a server it is tried again for ``seconds``.

    ``action`` must open its own transaction and bear being done twice: a connection may break after the
    server has committed. Raises DatabaseUnavailableError when the time is over, other errors at once.
    """

    def attempt() -> T:
        try:
            return action()
        except (DBAPIError, psycopg.Error) as error:
            if is_outage(error):
                raise DatabaseUnavailableError(f"Postgres does not answer ({_reason(error)}).") from error
            raise

    return patience.patiently(attempt, seconds, DatabaseUnavailableError)


def is_outage(error: DBAPIError | psycopg.Error) -> bool:
    """Whether the server or the way to it is gone, and not the statement wrong."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg.Error):
        return False
    lost = isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None
    state = cause.sqlstate or ""
    return lost or state.startswith("08") or state in OUTAGE_STATES


def _reason(error: DBAPIError | psycopg.Error) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return str(cause).strip().splitlines()[0]
