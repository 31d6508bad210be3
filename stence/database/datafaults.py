"""Errors that come of a value: with another value in its place the same transaction would have passed."""

from __future__ import annotations

import psycopg
from sqlalchemy.exc import DBAPIError

from stence.database.words import cause_of, said, state_of

DATA_ERRORS = (DBAPIError, psycopg.Error, UnicodeError, OverflowError)
"""What a value can raise on its way: in psycopg, which prepares it, and in Postgres, which takes it."""
DATA_EXCEPTION_CLASS = "22"
DATA_FAULT_STATES = frozenset(
    {
        "23502",  # not_null_violation
        "23514",  # check_violation
        "54000",  # program_limit_exceeded: an index row that is too large, for instance
    }
)


def is_data_error(error: Exception) -> bool:
    """Whether a value is at fault, and neither the server nor the statement."""
    if not isinstance(error, DBAPIError | psycopg.Error):
        return isinstance(error, UnicodeError | OverflowError)
    if isinstance(cause_of(error), psycopg.DataError):  # also those of psycopg itself, which have no state
        return True
    state = state_of(error)
    return state.startswith(DATA_EXCEPTION_CLASS) or state in DATA_FAULT_STATES


def data_fault(error: Exception) -> str:
    """What is wrong with the value, without the value."""
    if isinstance(error, DBAPIError | psycopg.Error):
        return said(error)
    return "it holds characters that are none" if isinstance(error, UnicodeError) else "a number is too large"
