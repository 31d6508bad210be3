"""Postgres: connections, the schema, and SQL by name. Everything clinical is decided here, in transactions."""

from __future__ import annotations

from stence.database.copy import copy_rows
from stence.database.engine import connect, create_database
from stence.database.outage import patiently

__all__ = ["connect", "copy_rows", "create_database", "patiently"]
