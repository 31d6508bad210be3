"""Errors that nobody foresaw where they arose, in words: a full disk, or what Postgres refused."""

from __future__ import annotations

import errno

FULL = {errno.ENOSPC, errno.EDQUOT}
STATEMENT_IS_WRONG = "42"
"""Class of the errors that are ours: they keep their traceback."""


def in_words(error: Exception) -> str | None:
    """What went wrong and what to do, without statement, value or path of an object; None for a bug."""
    if isinstance(error, OSError) and error.errno in FULL:
        place = f" that holds {error.filename}" if error.filename else ""
        return f"The disk{place} is full: free space and start again; what was finished is kept."
    if type(error).__module__.partition(".")[0] not in {"sqlalchemy", "psycopg"}:
        return None
    import psycopg
    from sqlalchemy.exc import DBAPIError

    from stence.database.words import said, state_of

    if not isinstance(error, DBAPIError | psycopg.Error) or state_of(error).startswith(STATEMENT_IS_WRONG):
        return None
    return f"Postgres did not do it: {said(error)}."
