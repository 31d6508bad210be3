"""95 % intervals without resampling, and the JSON of a metric with its interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

Z = 1.959964
"""Quantile of the normal distribution for 95 %."""


def as_json(value: float, lower: float, upper: float) -> dict[str, float | None]:
    """Return a metric as JSON ``{value, lower, upper}`` of 4 decimals, all null unless all are finite.

    >>> as_json(0.8, 0.70512, 0.9), as_json(0.8, float("nan"), 0.9)["value"]
    ({'value': 0.8, 'lower': 0.7051, 'upper': 0.9}, None)
    """
    if not np.isfinite([value, lower, upper]).all():
        return dict.fromkeys(("value", "lower", "upper"))
    return {"value": round(value, 4), "lower": round(lower, 4), "upper": round(upper, 4)}


def normal(value: float, error: float) -> dict[str, float | None]:
    """Return the interval of an estimate with a normal error.

    >>> normal(0.05, 0.02)
    {'value': 0.05, 'lower': 0.0108, 'upper': 0.0892}
    """
    return as_json(value, value - Z * error, value + Z * error)


def on_logit_scale(value: float, error: float) -> dict[str, float | None]:
    """Return the interval of a share or an AUROC whose log odds have a normal error (delta method).

    It stays between 0 and 1 and is wider towards 1/2, as few cases demand (Qin & Hotilovac 2008). A value of
    0 or 1 has no log odds, and an interval without width.

    >>> on_logit_scale(0.9, 0.04)
    {'value': 0.9, 'lower': 0.7903, 'upper': 0.9555}
    """
    if not 0 < value < 1:
        return as_json(value, value, value)
    middle, spread = float(logit(value)), error / (value * (1 - value))
    return as_json(value, float(expit(middle - Z * spread)), float(expit(middle + Z * spread)))


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
    return as_json(value, max(middle - half, 0.0), min(middle + half, 1.0))
