"""Fuzzing through the whole intake has a real Postgres."""

from __future__ import annotations

from support.database import engine, postgres, settings, store

__all__ = ["engine", "postgres", "settings", "store"]
