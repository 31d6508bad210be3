"""Texts for errors that the library does not handle: a full disk, or a refusal of Postgres."""

from __future__ import annotations

import errno

FULL = {errno.ENOSPC, errno.EDQUOT}
STATEMENT_IS_WRONG = "42"
"""Class of errors in our own SQL. They keep their traceback."""


def in_words(error: Exception) -> str | None:
    """The error and the action, without statement, value or object path; None for a bug."""
    if isinstance(error, OSError) and error.errno in FULL:
        place = f" that holds {error.filename}" if error.filename else ""
        return f"The disk{place} is full: free space and start again. Finished work is kept."
    if type(error).__module__.partition(".")[0] not in {"sqlalchemy", "psycopg"}:
        return None
    import psycopg
    from sqlalchemy.exc import DBAPIError

    from stence.database.words import said, state_of

    if not isinstance(error, DBAPIError | psycopg.Error) or state_of(error).startswith(STATEMENT_IS_WRONG):
        return None
    return f"Postgres refused: {said(error)}."
