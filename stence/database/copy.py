"""COPY: bulk insert into one table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection

from stence.database.words import keep_values_out


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
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        keep_values_out(error)
        raise
    return int(cursor.rowcount)
