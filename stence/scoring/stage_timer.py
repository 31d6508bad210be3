"""Seconds by stage, summed over threads and processes."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class StageTimer:
    """Sums the time of all threads and processes by stage.

    Stages overlap, so their sum can exceed the run's time.

    >>> timer = StageTimer()
    >>> with timer("fetch"):
    ...     pass
    >>> list(timer.seconds())
    ['fetch']
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the time of the block to ``stage``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - start)

    def add(self, stage: str, seconds: float) -> None:
        """Add seconds that passed elsewhere to ``stage``."""
        with self._lock:
            self._seconds[stage] += seconds

    def seconds(self) -> dict[str, float]:
        """Return the seconds by stage so far."""
        with self._lock:
            return dict(self._seconds)
