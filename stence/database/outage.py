"""Waiting for a Postgres that went away."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg
from sqlalchemy.exc import DBAPIError

from stence.errors import DatabaseUnavailableError

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
OUTAGE_STATES = frozenset(
    {
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now: starting up or shutting down
        "53300",  # too_many_connections
        "25006",  # read_only_sql_transaction: the standby, until it is promoted
    }
)

T = TypeVar("T")


def patiently(action: Callable[[], T], seconds: float) -> T:
    """The result of ``action``; where it fails for want of a server it is tried again for ``seconds``.

    ``action`` must open its own transaction, and must bear being done twice: a connection may break after the
    server has committed. Raises DatabaseUnavailableError when the time is over, other errors at once.
    """
    deadline = time.monotonic() + seconds
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return action()
        except (DBAPIError, psycopg.Error) as error:
            if not is_outage(error):
                raise
            left = deadline - time.monotonic()
            if left <= 0:
                raise DatabaseUnavailableError(
                    f"Postgres did not answer for {seconds:g} s ({_reason(error)}). What was committed is "
                    "kept; start it, then run again."
                ) from error
            logger.warning("Postgres does not answer (%s); waiting up to %.0f s more", _reason(error), left)
        time.sleep(min(left, pause * random.uniform(0.5, 1.0)))  # noqa: S311 - not for secrets
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def is_outage(error: DBAPIError | psycopg.Error) -> bool:
    """Whether the server or the way to it is gone, and not the statement wrong."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg.OperationalError):
        return False
    state = cause.sqlstate
    return state is None or state.startswith("08") or state in OUTAGE_STATES


def _reason(error: DBAPIError | psycopg.Error) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return str(cause).strip().splitlines()[0]
