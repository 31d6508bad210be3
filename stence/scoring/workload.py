"""What a run is to score: which ECGs of the worklist, until when, in how many processes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, NamedTuple

Portion = Literal["all", "new", "archive"]
"""ECGs of a model's worklist. The archive is what was there before the model; ``all`` has new ones first."""


class Workload(NamedTuple):
    """Workload of a run. By default it is everything, in this process.

    >>> Workload(until=datetime(2026, 3, 1, tzinfo=UTC)).is_over()
    True
    """

    portion: Portion = "all"
    until: datetime | None = None
    """Time after which no further ECGs are taken."""
    workers: int = 1

    def is_over(self) -> bool:
        """Return True after ``until``."""
        return self.until is not None and datetime.now(UTC) >= self.until
