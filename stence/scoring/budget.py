"""A bound on the bytes of ECG files that are in memory at once, whatever sizes they have."""

from __future__ import annotations

import threading

COPIES = 2
"""While a file comes in, its pieces and the whole that is made of them are in memory."""


class BudgetSpentError(Exception):
    """There is no room for these bytes now."""


class ByteBudget:
    """So many bytes to be held by all threads together."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._held = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Hold ``size`` more bytes. Raises BudgetSpentError where that would be too many."""
        with self._lock:
            if self._held + size > self._limit:
                raise BudgetSpentError
            self._held += size

    def give_back(self, size: int) -> None:
        """Hold ``size`` bytes less."""
        with self._lock:
            self._held -= size


class Share:
    """What one ECG holds of a budget."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._size = 0

    def admit(self, size: int) -> None:
        """Make room for a file of ``size`` bytes. Raises BudgetSpentError."""
        self._budget.take(COPIES * size)
        self._size += COPIES * size

    def release(self) -> None:
        """Give all of it back."""
        self._budget.give_back(self._size)
        self._size = 0
