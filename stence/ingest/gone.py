"""Files in quarantine that are in the store no more: nobody has to mend them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import partial

from sqlalchemy import Engine

from stence.database import queries
from stence.database.outage import patiently
from stence.objects import StoredObject

log = logging.getLogger(__name__)

KEYS_TOGETHER = 50_000


class GoneFiles:
    """Compares a listing, as it streams past, with the files below ``prefix`` that are in quarantine.

    Both come in the order of their keys: memory holds a page of those in quarantine, and those that are gone.
    """

    def __init__(self, engine: Engine, prefix: str, outage_seconds: float) -> None:
        self._engine, self._prefix, self._outage_seconds = engine, prefix, outage_seconds
        self.keys: list[str] = []

    def watch(self, listing: Iterable[StoredObject]) -> Iterator[StoredObject]:
        """The same listing; afterwards ``keys`` are those that it lacks."""
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
        """Close the quarantine of files that are gone, and look again at those they were in conflict with.

        Not of those below prefixes that are ``closed``: they may be there. One that comes back is an ECG like
        any other then. How many there are.
        """
        keys = [key for key in self.keys if not key.startswith(closed)]
        for start in range(0, len(keys), KEYS_TOGETHER):
            patiently(partial(self._settle, keys[start : start + KEYS_TOGETHER]), self._outage_seconds)
        if keys:
            log.warning("%d files in quarantine are gone from the store: they are closed", len(keys))
        return len(keys)

    def _settle(self, keys: list[str]) -> None:
        with self._engine.begin() as connection:
            for step in ("gone_01_conflicts", "gone_02_objects"):
                connection.execute(queries.statement(step), {"keys": keys})

    def _quarantined(self) -> Iterator[str]:
        after = ""
        while page := patiently(partial(self._page, after), self._outage_seconds):
            yield from page
            after = page[-1]

    def _page(self, after: str) -> list[str]:
        values = {"prefix": self._prefix, "after": after, "limit": KEYS_TOGETHER}
        with self._engine.connect() as connection:
            return list(connection.scalars(queries.statement("quarantined_keys"), values))
