"""Loading times that Python has none for.

Postgres keeps times from 4713 BC to 294276 AD, and infinity; Python's end at the years 1 and 9999. One such
time in a table would make every query over it fail. It is read as no time.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import adapters
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

TYPES = ("timestamptz", "timestamp", "date")


def load_any_time(connection: psycopg.Connection[Any]) -> None:
    """Make this connection read a time that Python cannot hold as None."""
    for name in TYPES:
        oid = adapters.types[name].oid
        exact = adapters.get_loader(oid, Format.TEXT)
        if exact is None:
            raise AssertionError(f"psycopg loads no {name}")
        connection.adapters.register_loader(oid, _or_none(exact))


def _or_none(exact: type[Any]) -> type[Loader]:
    class OrNone(Loader):
        """``exact``, which is written in C and cannot be derived from, or None."""

        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            self._load = exact(oid, context).load

        def load(self, data: Buffer) -> Any:
            try:
                return self._load(data)
            except psycopg.DataError:
                return None

    return OrNone
