"""Quarantined files that were deleted from the store: their quarantine is closed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, Engine

from stence.database import queries
from stence.database.outage import transact
from stence.objects import StoredObject

log = logging.getLogger(__name__)

KEYS_TOGETHER = 50_000


class GoneFiles:
    """Compares a streamed listing with the quarantined files below ``prefix``.

    Both are sorted by key. Memory holds one page of quarantined keys, and the keys of deleted files.
    """

    def __init__(self, engine: Engine, prefix: str, outage_seconds: float) -> None:
        self._engine, self._prefix, self._outage_seconds = engine, prefix, outage_seconds
        self.keys: list[str] = []

    def watch(self, listing: Iterable[StoredObject]) -> Iterator[StoredObject]:
        """Pass the listing through; afterwards ``keys`` holds the quarantined keys that it lacks."""
        quarantined = self._quarantined()
        next_key = next(quarantined, None)
        for item in listing:
            while next_key is not None and next_key.encode() < item.key.encode():
                self.keys.append(next_key)
                next_key = next(quarantined, None)
            if next_key == item.key:
                next_key = next(quarantined, None)
            yield item
        self.keys += [] if next_key is None else [next_key, *quarantined]

    def settle(self, closed: tuple[str, ...]) -> int:
        """Close the quarantine of deleted files, and check the files in conflict with them again.

        Files below ``closed`` prefixes are skipped, because they may still exist. A file that returns later
        is a new ECG. Returns the number of deleted files.
        """
        keys = [key for key in self.keys if not key.startswith(closed)]
        for start in range(0, len(keys), KEYS_TOGETHER):
            transact(self._engine, self._outage_seconds, self._settle, keys[start : start + KEYS_TOGETHER])
        if keys:
            log.warning("%d files in quarantine are gone from the store: their faults are closed", len(keys))
        return len(keys)

    def _settle(self, connection: Connection, keys: list[str]) -> None:
        for step in ("gone_01_conflicts", "gone_02_objects"):
            connection.execute(queries.statement(step), {"keys": keys})

    def _quarantined(self) -> Iterator[str]:
        after = ""
        while page := transact(self._engine, self._outage_seconds, self._page, after):
            yield from page
            after = page[-1]

    def _page(self, connection: Connection, after: str) -> list[str]:
        values = {"prefix": self._prefix, "after": after, "limit": KEYS_TOGETHER}
        return list(connection.scalars(queries.statement("quarantined_keys"), values))
