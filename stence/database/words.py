"""Error messages of Postgres without the values that they quote.

``DETAIL`` and ``CONTEXT`` of a message quote keys, rows and lines of COPY, and so identify patients.
Statements do not help an operator. The texts here hold the primary message, and a remedy if one is known.
"""

from __future__ import annotations

import re

import psycopg
from sqlalchemy.exc import DBAPIError

from stence.discretion import placed
from stence.errors import StenceError

REMEDIES = {
    "53100": "its disk is full: free space on the database server",
    "53200": "it has no memory left: give the database server more memory, or less other work",
    "53300": "it accepts no more connections: raise max_connections, or close other connections",
    "25006": "it is read-only: it is a standby, or its disk is nearly full",
}
DEPENDENTS_EXIST = "2BP01"
"""Its detail names the dependent views or tables, and no value."""
QUOTED = re.compile(r'"[^"]*"|\'[^\']*\'|: .*')
STATEMENT_LINE = re.compile(r"\nLINE \d+:.*", re.DOTALL)


def said(error: DBAPIError | psycopg.Error) -> str:
    """Return the primary message of Postgres on one line, without values; with a remedy if one is known."""
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


def told(error: BaseException) -> str:
    """Return what a table or a log may hold of an error; texts of foreign errors may name a patient."""
    if isinstance(error, DBAPIError | psycopg.Error):
        return said(error)
    return str(error) if isinstance(error, StenceError) and str(error) else placed(error)


def keep_values_out(error: DBAPIError | psycopg.Error) -> None:
    """Replace an error's text by that of ``said``, so that no log can identify a patient.

    Errors of the statement itself (class 42) are not changed: they quote only our own SQL.
    """
    cause = cause_of(error)
    if cause is None or not (cause.sqlstate or isinstance(cause, psycopg.DataError)):
        return
    if not (cause.sqlstate or "").startswith("42"):
        cause.args = (said(cause),)
        if isinstance(error, DBAPIError):
            error.args = (f"({type(cause).__name__}) {said(cause)}",)


def cause_of(error: DBAPIError | psycopg.Error) -> psycopg.Error | None:
    """Return the psycopg error that SQLAlchemy wraps; None if it wraps another error."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return cause if isinstance(cause, psycopg.Error) else None


def state_of(error: DBAPIError | psycopg.Error) -> str:
    """Return the SQLSTATE; empty if the error did not come from the server."""
    cause = cause_of(error)
    return (cause.sqlstate if cause else None) or ""


def _first_line(cause: psycopg.Error) -> str:
    lines = STATEMENT_LINE.sub("", str(cause)).strip().splitlines()
    return lines[0] if lines else type(cause).__name__
