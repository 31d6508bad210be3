"""95 % intervals without resampling, and the JSON of a metric with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

Z = 1.959964
"""Quantile of the normal distribution for 95 %."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A metric with the ends of its 95 % interval; NaN where they are not defined."""

    value: float
    lower: float
    upper: float

    @property
    def is_defined(self) -> bool:
        """True if value and ends are finite."""
        return math.isfinite(self.value + self.lower + self.upper)

    def as_json(self) -> dict[str, float | None]:
        """Return ``{value, lower, upper}`` of 4 decimals, all null unless all are defined.

        >>> Interval(0.8, 0.70512, 0.9).as_json(), Interval(0.8, math.nan, 0.9).as_json()["value"]
        ({'value': 0.8, 'lower': 0.7051, 'upper': 0.9}, None)
        """
        ends = {"value": self.value, "lower": self.lower, "upper": self.upper}
        return {name: round(end, 4) if self.is_defined else None for name, end in ends.items()}


def normal(value: float, error: float) -> Interval:
    """Return the interval of an estimate with a normal error.

    >>> round(normal(1.0, 0.1).lower, 3)
    0.804
    """
    return Interval(value, value - Z * error, value + Z * error)


def on_logit_scale(value: float, error: float, count: int) -> Interval:
    """Return the interval of a share or an AUROC, whose log odds have a normal error (delta method).

    For 0 and 1, which have no log odds, it is Wilson's of ``count`` observations (1927).

    >>> found = on_logit_scale(0.5, 0.1, 25)
    >>> round(found.lower, 3), round(found.upper, 3)
    (0.313, 0.687)
    >>> round(on_logit_scale(1.0, 0.0, 10).lower, 3)
    0.722
    """
    if not 1e-9 < value < 1 - 1e-9:
        margin = Z**2 / (count + Z**2)
        return Interval(value, max(0.0, value - margin), min(1.0, value + margin))
    there = normal(float(logit(value)), error / (value * (1 - value)))
    return Interval(value, float(expit(there.lower)), float(expit(there.upper)))


def wilson(
    values: NDArray[np.floating], weights: NDArray[np.float64], patients: NDArray[np.int64]
) -> dict[str, float | None]:
    """Return a weighted share of ECGs (n,) with Wilson's interval (1927) at the effective number of patients.

    A bootstrap of a share of 0 or 1 has an interval without width.

    >>> wilson(np.array([1.0, 1.0, 1.0]), np.array([0.5, 0.5, 1.0]), np.array([1, 1, 2]))
    {'value': 1.0, 'lower': 0.3424, 'upper': 1.0}
    """
    _, of = np.unique(patients, return_inverse=True)
    each = np.bincount(of, weights)
    if not each.sum():
        return dict.fromkeys(("value", "lower", "upper"))
    value = float(np.average(values, weights=weights))
    effective = float(each.sum() ** 2 / (each**2).sum())
    middle = (value + Z**2 / (2 * effective)) / (1 + Z**2 / effective)
    half = Z * (value * (1 - value) / effective + (Z / (2 * effective)) ** 2) ** 0.5 / (1 + Z**2 / effective)
    return Interval(value, max(middle - half, 0.0), min(middle + half, 1.0)).as_json()
