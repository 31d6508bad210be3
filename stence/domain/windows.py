"""Time windows of metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Window:
    """A time from ``start`` on and before ``end``, both with their zone."""

    start: datetime
    end: datetime

    @classmethod
    def of_day(cls, day: date, timezone: str) -> Window:
        """Return the calendar day in the hospital's time zone. It has 23 or 25 hours when clocks change."""
        zone = ZoneInfo(timezone)
        start, end = (datetime.combine(d, time(), zone) for d in (day, day + timedelta(days=1)))
        return cls(start, end)
