"""Times and ages that can be meant: what lies outside is a placeholder or a mistake, and counts as none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
"""Before it lie the placeholders: year 1, 1800, 1900-01-01, Unix time 0. So do no digital resting ECGs."""
MAX_AHEAD = timedelta(days=2)
"""How far ahead of this machine's clock a time may lie: time zones that nobody named explain one day."""
MAX_AGE_YEARS = 130.0


def plausible_time(moment: datetime, now: datetime | None = None) -> bool:
    """Whether something can have been recorded at ``moment``; one without a zone is taken as UTC's.

    ``now`` is by default this machine's clock.
    """
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    try:
        return EARLIEST <= aware <= (now or datetime.now(UTC)) + MAX_AHEAD
    except OverflowError:  # year 1 or 9999, moved out of the calendar by its zone
        return False


def plausible_age(years: float) -> bool:
    """Whether a person can be ``years`` old."""
    return 0 <= years <= MAX_AGE_YEARS
