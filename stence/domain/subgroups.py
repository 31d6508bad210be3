"""Subgroups of patients for which metrics are reported separately."""

from __future__ import annotations

import math

SEXES = {"women": "F", "men": "M"}
AGE_BANDS = ((0, 50), (50, 60), (60, 70), (70, 80), (80, math.inf))
"""Bands in years: lower end, upper end (excluded)."""


def band_name(low: float, high: float) -> str:
    """Return the name of an age band.

    >>> band_name(50, 60)
    '50 to 59'
    """
    if low == 0:
        return f"under {high:g}"
    return f"{low:g} and over" if math.isinf(high) else f"{low:g} to {high - 1:g}"


def age_band(age: float) -> str:
    """Return the name of the band of an age in years.

    >>> age_band(64.5)
    '60 to 69'
    """
    return next(band_name(low, high) for low, high in AGE_BANDS if low <= age < high)
