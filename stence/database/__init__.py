"""Postgres: connections, the schema, and SQL by name."""

from __future__ import annotations

from stence.database.copy import copy_rows
from stence.database.engine import connect, connect_as_it_is, connect_as_owner, create_database
from stence.database.outage import retry_outages

__all__ = [
    "connect",
    "connect_as_it_is",
    "connect_as_owner",
    "copy_rows",
    "create_database",
    "retry_outages",
]
