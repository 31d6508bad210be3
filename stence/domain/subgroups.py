"""Parts of a hospital's patients that figures are also given for."""

from __future__ import annotations

import math

SEXES = {"women": "F", "men": "M"}
AGE_BANDS = ((0, 50), (50, 60), (60, 70), (70, 80), (80, math.inf))
"""Years, the upper end left out."""


def band_name(low: float, high: float) -> str:
    """What an age band is called."""
    if low == 0:
        return f"under {high:g}"
    return f"{low:g} and over" if math.isinf(high) else f"{low:g} to {high - 1:g}"
