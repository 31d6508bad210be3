"""Plausibility of times and ages. Implausible values are placeholders or mistakes, and count as missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
"""Earlier times are placeholders: year 1, 1800, 1900-01-01, Unix time 0. No digital ECG is older."""
MAX_AHEAD = timedelta(days=2)
"""Largest distance of a time in the future from this machine's clock. Missing time zones explain one day."""
MAX_AGE_YEARS = 130.0


def plausible_time(moment: datetime, now: datetime | None = None) -> bool:
    """Return True if ``moment`` is plausible as a recording time. Without a zone it counts as UTC.

    ``now`` is by default this machine's clock.
    """
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    try:
        return EARLIEST <= aware <= (now or datetime.now(UTC)) + MAX_AHEAD
    except OverflowError:  # the zone moves year 1 or 9999 out of the calendar
        return False


def plausible_age(years: float) -> bool:
    """Return True if ``years`` is a plausible age."""
    return 0 <= years <= MAX_AGE_YEARS
