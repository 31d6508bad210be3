"""Write objects into a store in the background."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from stence.objects import ObjectStore

_UNWRITTEN = 32


class Writer:
    """Writes objects in a thread pool; at most ``_UNWRITTEN`` objects wait in memory."""

    def __init__(self, pool: ThreadPoolExecutor, store: ObjectStore) -> None:
        self._pool, self._store = pool, store
        self._waiting: deque[Future[None]] = deque()

    def put(self, key: str, content: bytes) -> None:
        """Queue an object; raises the error of an earlier put."""
        if len(self._waiting) >= _UNWRITTEN:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._store.put, key, content))

    def finish(self) -> None:
        """Wait until every object is written."""
        while self._waiting:
            self._waiting.popleft().result()
