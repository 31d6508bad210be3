"""95 % bootstrap intervals. Patients are drawn with replacement, each with all of their ECGs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stence.evaluation.intervals import Interval

INTERVAL = (2.5, 97.5)
"""Percentiles of the resampled values."""
CELLS = 2_000_000
"""Number of weights in memory. More resampled weights come in several blocks."""


def resamples(patients: NDArray[np.int64], count: int) -> Iterator[NDArray[np.float64]]:
    """Yield the bootstrap counts of each ECG's patient: ``count`` resamples in blocks (r, n).

    The resamples are deterministic.

    >>> patients = np.array([7, 7, 9])
    >>> next(resamples(patients, 2)).tolist()
    [[0.0, 0.0, 2.0], [1.0, 1.0, 1.0]]
    """
    names, patient = np.unique(patients, return_inverse=True)
    rng = np.random.default_rng(0)
    block = max(1, CELLS // max(1, len(patients)))
    for start in range(0, count if len(names) else 0, block):
        rows = min(block, count - start)
        drawn = rng.integers(len(names), size=(rows, len(names))) + len(names) * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * len(names)).reshape(rows, len(names))
        yield times[:, patient].astype(np.float64)


def interval(value: float, drawn: NDArray[np.float64]) -> dict[str, float | None]:
    """Return a metric as JSON ``{value, lower, upper}``, all null if the metric is not defined.

    >>> interval(0.8, np.linspace(0.7, 0.9, 101))
    {'value': 0.8, 'lower': 0.705, 'upper': 0.895}
    """
    return Interval(value, *bounds(drawn)).as_json()


def bounds(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % percentile interval of resampled values (r,); NaN, NaN if all are undefined.

    >>> bounds(np.array([np.nan, np.nan]))
    (nan, nan)
    """
    defined = drawn[np.isfinite(drawn)]
    if not defined.size:
        return float("nan"), float("nan")
    lower, upper = np.percentile(defined, INTERVAL)
    return float(lower), float(upper)
