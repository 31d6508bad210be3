"""Puts objects into a store while the next ones are made."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from stence.objects import ObjectStore

_UNWRITTEN = 32


class Writer:
    """Puts objects while the next ones are made; at most ``_UNWRITTEN`` of them wait in memory."""

    def __init__(self, pool: ThreadPoolExecutor, store: ObjectStore) -> None:
        self._pool, self._store = pool, store
        self._waiting: deque[Future[None]] = deque()

    def put(self, key: str, content: bytes) -> None:
        """Start to put; raises what an earlier put raised."""
        if len(self._waiting) >= _UNWRITTEN:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._store.put, key, content))

    def finish(self) -> None:
        """Return when every object is written."""
        while self._waiting:
            self._waiting.popleft().result()
