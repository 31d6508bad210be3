"""COPY: bulk insert into one table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection

from stence.database.words import keep_values_out


class RowsBrokeOffError(Exception):
    """The rows' source failed. The cause, which may name a patient, stays out of the server's log."""


def copy_rows(
    connection: Connection, table_name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> int:
    """Copy ``rows``, in the order of ``columns``, into a table, as part of the connection's transaction.

    COPY has no ON CONFLICT: for an upsert, copy into a temporary table first. Returns the number of rows.
    Errors are psycopg's own, not wrapped by SQLAlchemy; ``retry_outages`` handles both.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table_name), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    cursor = connection.connection.cursor()
    try:
        with cursor.copy(statement) as copy:
            _write(copy, rows)
    except psycopg.Error as error:
        keep_values_out(error)
        raise
    except RowsBrokeOffError as error:
        raise error.__cause__ or error from None
    return int(cursor.rowcount)


def _write(copy: psycopg.Copy, rows: Iterable[Sequence[Any]]) -> None:
    """Write the rows. What is raised here, psycopg tells the server with its text."""
    try:
        for row in rows:
            copy.write_row(row)
    except psycopg.Error:
        raise
    except Exception as error:
        raise RowsBrokeOffError("the source of the rows broke off") from error
