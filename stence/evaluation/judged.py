"""Metrics of outcomes with 95 % intervals, from weights and their covariance; nothing is resampled.

Shares and areas get their interval on the logit scale, where their distribution is nearly normal; slope and
intercept on their own. The expected calibration error is a sum of absolute values and too large by chance:
the excess, found by drawing the bins' gaps from their covariance, is taken off value and interval (pivotal
interval: Efron & Tibshirani 1993).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from stence.evaluation import linearised
from stence.evaluation.linearised import Linear
from stence.evaluation.metrics import BinaryPredictions

NORMAL = 1.959964
"""97.5th percentile of the normal distribution."""
DRAWS = 2000
ON_THE_LINE = ("calibration_slope", "calibration_intercept")
"""Metrics that are no shares, 0 to 1."""

Floats = NDArray[np.float64]
Covariance = Callable[[list[Linear]], Floats]


@dataclass(frozen=True, slots=True)
class Judged:
    """A metric with the ends of its 95 % interval."""

    value: float
    lower: float
    upper: float


def judged(predicted: BinaryPredictions, weights: Floats, covariance: Covariance) -> dict[str, Judged]:
    """Return each metric of the ECGs, weighted by ``weights`` (m,); undefined ones are left out."""
    metrics = linear_metrics(predicted, weights)
    variances = covariance(list(metrics.values())).diagonal()
    found = {
        name: on_the_line(metric.value, float(variance))
        if name in ON_THE_LINE
        else of_share(metric.value, float(variance), len(weights))
        for (name, metric), variance in zip(metrics.items(), variances, strict=True)
    }
    found["ece"] = calibration_error(predicted, weights, covariance)
    return {name: each for name, each in found.items() if math.isfinite(each.lower + each.value + each.upper)}


def linear_metrics(predicted: BinaryPredictions, weights: Floats) -> dict[str, Linear]:
    """Return the metrics that have a derivative, by name."""
    case, flagged = predicted.label.astype(np.float64), predicted.flagged.astype(np.float64)
    slope, intercept = linearised.calibration_line(predicted, weights)
    return {
        "auroc": linearised.auroc(predicted, weights),
        "auprc": linearised.auprc(predicted, weights),
        "ppv": linearised.share(case, flagged, weights),
        "sensitivity": linearised.share(flagged, case, weights),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
    }


def on_the_line(value: float, variance: float) -> Judged:
    """Return the normal interval.

    >>> on_the_line(1.0, 0.01).lower.__round__(3)
    0.804
    """
    half = NORMAL * math.sqrt(max(variance, 0.0)) if math.isfinite(variance) else math.nan
    return Judged(value, value - half, value + half)


def of_share(value: float, variance: float, count: int) -> Judged:
    """Return the interval of a share on the logit scale; for 0 and 1, Wilson's of ``count`` ECGs (1927).

    >>> found = of_share(0.5, 0.01, 25)
    >>> round(found.lower, 3), round(found.upper, 3)
    (0.313, 0.687)
    >>> round(of_share(1.0, 0.0, 10).lower, 3)
    0.722
    """
    if not 1e-9 < value < 1 - 1e-9:
        margin = NORMAL**2 / (count + NORMAL**2)
        return Judged(value, max(0.0, value - margin), min(1.0, value + margin))
    there = on_the_line(float(logit(value)), variance / (value * (1 - value)) ** 2)
    return Judged(value, float(expit(there.lower)), float(expit(there.upper)))


def calibration_error(predicted: BinaryPredictions, weights: Floats, covariance: Covariance) -> Judged:
    """Return the expected calibration error without the part that chance adds; never below 0."""
    gaps = linearised.calibration_gaps(predicted, weights)
    spread = covariance(gaps)
    if not np.isfinite(spread).all():
        return Judged(math.nan, math.nan, math.nan)
    centre = np.array([gap.value for gap in gaps])
    found = float(np.abs(centre).sum())
    normal = np.random.default_rng(0).multivariate_normal(centre, spread, DRAWS, method="eigh")
    drawn = np.abs(normal).sum(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    value, lower, upper = (max(0.0, 2 * found - float(end)) for end in (drawn.mean(), high, low))
    return Judged(value, lower, upper)
