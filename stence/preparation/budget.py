"""Limit on the bytes of ECG files in memory, for files of any size."""

from __future__ import annotations

import threading

COPIES = 2
"""Copies of a file in memory during its download: its pieces, and the complete file."""


class BudgetSpentError(Exception):
    """The budget has no room for these bytes now."""


class ByteBudget:
    """Budget of bytes in memory for all threads together.

    >>> budget = ByteBudget(100)
    >>> budget.take(80)
    >>> budget.take(30)
    Traceback (most recent call last):
    stence.preparation.budget.BudgetSpentError
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._held = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Reserve ``size`` bytes. Raises BudgetSpentError if this exceeds the limit."""
        with self._lock:
            if self._held + size > self._limit:
                raise BudgetSpentError
            self._held += size

    def give_back(self, size: int) -> None:
        """Release ``size`` bytes."""
        with self._lock:
            self._held -= size


class Share:
    """Share of one ECG in a budget."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._size = 0

    def admit(self, size: int) -> None:
        """Reserve room for a file of ``size`` bytes. Raises BudgetSpentError if there is none."""
        self._budget.take(COPIES * size)
        self._size += COPIES * size

    def release(self) -> None:
        """Release all bytes of this share."""
        self._budget.give_back(self._size)
        self._size = 0
