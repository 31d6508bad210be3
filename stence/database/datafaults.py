"""Errors caused by a value: the same transaction would succeed with another value."""

from __future__ import annotations

import psycopg
from sqlalchemy.exc import DBAPIError

from stence.database.words import cause_of, said, state_of

DATA_ERRORS = (DBAPIError, psycopg.Error, UnicodeError, OverflowError)
"""Errors that a value can raise, in psycopg at conversion or in Postgres at storage."""
DATA_EXCEPTION_CLASS = "22"
DATA_FAULT_STATES = frozenset(
    {
        "23502",  # not_null_violation
        "23514",  # check_violation
        "54000",  # program_limit_exceeded: an index row that is too large, for instance
    }
)


def is_data_error(error: Exception) -> bool:
    """True if a value, and not the server or the statement, caused the error."""
    if not isinstance(error, DBAPIError | psycopg.Error):
        return isinstance(error, UnicodeError | OverflowError)
    if isinstance(cause_of(error), psycopg.DataError):  # includes psycopg's own, which have no SQLSTATE
        return True
    state = state_of(error)
    return state.startswith(DATA_EXCEPTION_CLASS) or state in DATA_FAULT_STATES


def data_fault(error: Exception) -> str:
    """Describe the fault of the value, without the value."""
    if isinstance(error, DBAPIError | psycopg.Error):
        return said(error)
    return "it has invalid characters" if isinstance(error, UnicodeError) else "a number is too large"
