"""Plain words that every room shares: age bands, and the days of a hospital."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import pytest

from stence.domain.subgroups import AGE_BANDS, band_name
from stence.domain.windows import Window


@pytest.mark.parametrize(
    ("low", "high", "name"),
    [(0, 50, "under 50"), (50, 60, "50 to 59"), (70, 80, "70 to 79"), (80, math.inf, "80 and over")],
)
def test_an_age_band_is_named_by_the_years_in_it(low: float, high: float, name: str) -> None:
    assert band_name(low, high) == name


def test_every_age_lies_in_one_band() -> None:
    for age in (0, 49.9, 50, 59.9, 60, 79.9, 80, 130):
        assert sum(low <= age < high for low, high in AGE_BANDS) == 1


@pytest.mark.parametrize(
    ("day", "hours", "start"),
    [
        (date(2026, 3, 28), 24, datetime(2026, 3, 27, 23, tzinfo=UTC)),
        (date(2026, 3, 29), 23, datetime(2026, 3, 28, 23, tzinfo=UTC)),
        (date(2026, 10, 25), 25, datetime(2026, 10, 24, 22, tzinfo=UTC)),
    ],
)
def test_a_day_is_the_hospitals_though_the_clocks_change(day: date, hours: int, start: datetime) -> None:
    window = Window.of_day(day, "Europe/Berlin")
    assert window.start.astimezone(UTC) == start
    assert window.end.astimezone(UTC) - window.start.astimezone(UTC) == timedelta(hours=hours)
