"""Integration tests have a real Postgres, and a real Prefect server where they ask for one."""

from __future__ import annotations

from support.database import engine, postgres, settings
from support.prefect_server import client, prefect_database

__all__ = ["client", "engine", "postgres", "prefect_database", "settings"]
