"""Errors of Postgres in words: what it said, without the values that its messages quote.

``DETAIL`` and ``CONTEXT`` of a message name keys, rows and lines of COPY, and so patients; statements are no
help to who reads them at night. Here are the primary message, and what to do where it is known.
"""

from __future__ import annotations

import re

import psycopg
from sqlalchemy.exc import DBAPIError

REMEDIES = {
    "53100": "its disk is full: free space on the database server",
    "53200": "it has no memory left: give the database server more, or other work less",
    "53300": "it takes no more connections: raise max_connections, or end what holds them",
    "25006": "it takes no writes: a standby, or its disk is nearly full",
}
DEPENDENTS_EXIST = "2BP01"
"""Its detail names the views or tables that depend, and no value."""
QUOTED = re.compile(r'"[^"]*"|\'[^\']*\'|: .*')
STATEMENT_LINE = re.compile(r"\nLINE \d+:.*", re.DOTALL)


def said(error: DBAPIError | psycopg.Error) -> str:
    """What Postgres said, on one line, without values; what to do where that is known."""
    cause = cause_of(error)
    if cause is None:
        return type(error).__name__
    state = cause.sqlstate or ""
    message = cause.diag.message_primary or _first_line(cause)
    if isinstance(cause, psycopg.DataError):  # class 22: these quote the value
        message = QUOTED.sub("…", message)
    if state == DEPENDENTS_EXIST and (detail := cause.diag.message_detail):
        message = f"{message}: {' '.join(detail.split())}"
    return f"{REMEDIES[state]} ({message})" if state in REMEDIES else message


def keep_values_out(error: DBAPIError | psycopg.Error) -> None:
    """Leave of an error's text what ``said`` says: whoever shows or logs it shows no patient.

    Errors of a statement as such (class 42) stay as they are: they quote our own SQL.
    """
    cause = cause_of(error)
    if cause is None or not (cause.sqlstate or isinstance(cause, psycopg.DataError)):
        return
    if not (cause.sqlstate or "").startswith("42"):
        cause.args = (said(cause),)
        if isinstance(error, DBAPIError):
            error.args = (f"({type(cause).__name__}) {said(cause)}",)


def cause_of(error: DBAPIError | psycopg.Error) -> psycopg.Error | None:
    """psycopg's own error, which SQLAlchemy wraps; None where it wraps something else."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return cause if isinstance(cause, psycopg.Error) else None


def state_of(error: DBAPIError | psycopg.Error) -> str:
    """The SQLSTATE; empty where the error did not come from the server."""
    cause = cause_of(error)
    return (cause.sqlstate if cause else None) or ""


def _first_line(cause: psycopg.Error) -> str:
    lines = STATEMENT_LINE.sub("", str(cause)).strip().splitlines()
    return lines[0] if lines else type(cause).__name__
