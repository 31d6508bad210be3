"""Load times that Python cannot represent as None.

Postgres stores times from 4713 BC to 294276 AD, and infinity. Python's range is the years 1 to 9999. Without
this, one such time in a table would make every query over it fail.
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
    """Make this connection return None for a time that Python cannot represent."""
    for name in TYPES:
        oid = adapters.types[name].oid
        exact = adapters.get_loader(oid, Format.TEXT)
        if exact is None:
            raise AssertionError(f"psycopg loads no {name}")
        connection.adapters.register_loader(oid, _or_none(exact))


def _or_none(exact: type[Any]) -> type[Loader]:
    class OrNone(Loader):
        """Wraps ``exact``, a C class that cannot be subclassed; returns None where it fails."""

        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            self._load = exact(oid, context).load

        def load(self, data: Buffer) -> Any:
            try:
                return self._load(data)
            except psycopg.DataError:
                return None

    return OrNone
