"""pgvector, which finds nearest studies. A hospital's Postgres may lack it: everything else works without."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from stence.database import queries
from stence.database.roles import as_login
from stence.database.words import said
from stence.discretion import plain

log = logging.getLogger(__name__)

OLDEST = (0, 8)
"""First version of pgvector whose index goes on until enough rows pass the other conditions of a query."""
COMMAND = "CREATE EXTENSION vector"


def hindrance(connection: Connection) -> str | None:
    """Return the reason why this database cannot find similar studies, and the cure; None if it can."""
    found = connection.execute(queries.statement("similar_extension")).one_or_none()
    if found is None:
        return f"the database server lacks pgvector; install it there, then run {COMMAND} as a role that may"
    if found.extversion is None:
        return (
            "this database has no extension vector yet; a retraining with angiograms creates it if "
            f"its login may, else run {COMMAND} as a role that may"
        )
    if tuple(int(part) for part in found.extversion.split(".")[:2]) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        return (
            f"pgvector {found.extversion} is older than {wanted}; update it on the server, then run "
            "ALTER EXTENSION vector UPDATE as its owner"
        )
    if not found.is_found:
        return (
            "the schema of the extension vector is not on the search path; run "
            "ALTER EXTENSION vector SET SCHEMA public as its owner"
        )
    return None


def enable(connection: Connection) -> str | None:
    """Create extension and index where they are missing. Return the ``hindrance`` that is left, if any.

    A login that may not create the extension changes nothing: the transaction of ``connection`` goes on.
    """
    if hindrance(connection):
        with _refusals_logged(), connection.begin_nested(), as_login(connection):
            connection.execute(text(f"{COMMAND} SCHEMA public"))
    if reason := hindrance(connection):
        log.warning("no similar studies: %s", plain(reason))
        return reason
    with _refusals_logged(), connection.begin_nested():
        connection.execute(queries.statement("similar_index"))
    return None


@contextmanager
def _refusals_logged() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        log.info("the database refused: %s", plain(said(error)))
