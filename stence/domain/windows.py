"""Time windows of metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Window:
    """A time window from ``start`` (included) to ``end`` (excluded), both with time zone.

    >>> Window.of_day(date(2026, 3, 29), "Europe/Berlin").start.isoformat()
    '2026-03-29T00:00:00+01:00'
    """

    start: datetime
    end: datetime

    @classmethod
    def of_day(cls, day: date, timezone: str) -> Window:
        """Return the calendar day in the hospital's time zone. It has 23 or 25 hours when clocks change."""
        zone = ZoneInfo(timezone)
        start, end = (datetime.combine(d, time(), zone) for d in (day, day + timedelta(days=1)))
        return cls(start, end)


def is_weekend(day: date) -> bool:
    """Return whether ``day`` is a Saturday or Sunday, on which outpatient clinics are closed.

    >>> is_weekend(date(2026, 7, 4))
    True
    """
    return day.weekday() >= 5
