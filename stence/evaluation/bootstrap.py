"""95 % intervals: patients are drawn with replacement, and with a patient all of their ECGs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

INTERVAL = (2.5, 97.5)
"""Percentiles of the resamples."""
CELLS = 2_000_000
"""Weights in memory at a time; a large hospital's resamples come in several blocks."""


def resamples(patients: NDArray[np.int64], count: int) -> Iterator[NDArray[np.float64]]:
    """How often each ECG's patient was drawn: ``count`` resamples in blocks (r, n); always the same ones."""
    names, patient = np.unique(patients, return_inverse=True)
    rng = np.random.default_rng(0)
    block = max(1, CELLS // max(1, len(patients)))
    for start in range(0, count if len(names) else 0, block):
        rows = min(block, count - start)
        drawn = rng.integers(len(names), size=(rows, len(names))) + len(names) * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * len(names)).reshape(rows, len(names))
        yield times[:, patient].astype(np.float64)


def interval(value: float, drawn: NDArray[np.float64]) -> dict[str, float | None]:
    """``{value, lower, upper}`` as JSON, all null where the figure is not defined."""
    lower, upper = bounds(drawn)
    if not np.isfinite(value) or np.isnan(lower):
        return {"value": None, "lower": None, "upper": None}
    return {"value": round(value, 4), "lower": round(lower, 4), "upper": round(upper, 4)}


def bounds(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """95 % percentile interval of resampled values (r,); NaN, NaN where no resample defines the metric."""
    defined = drawn[np.isfinite(drawn)]
    if not defined.size:
        return float("nan"), float("nan")
    lower, upper = np.percentile(defined, INTERVAL)
    return float(lower), float(upper)
