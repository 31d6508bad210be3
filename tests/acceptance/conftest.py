"""Acceptance tests have a real Postgres."""

from __future__ import annotations

from support.database import engine, postgres, settings

__all__ = ["engine", "postgres", "settings"]
