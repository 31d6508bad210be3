"""Metrics of outcomes with 95 % intervals, from weights and their covariance; nothing is resampled.

Shares and areas get their interval on the logit scale, where their distribution is nearly normal; slope and
intercept on their own. The expected calibration error is a sum of absolute values and too large by chance:
the excess, found by drawing the bins' gaps from their covariance, is taken off value and interval (pivotal
interval: Efron & Tibshirani 1993).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stence.evaluation import linearised
from stence.evaluation.intervals import Interval
from stence.evaluation.linearised import Linear, with_intervals
from stence.evaluation.metrics import BinaryPredictions

DRAWS = 2000

Floats = NDArray[np.float64]
Covariance = Callable[[list[Linear]], Floats]


def judged(predicted: BinaryPredictions, weights: Floats, covariance: Covariance) -> dict[str, Interval]:
    """Return each metric of the ECGs, weighted by ``weights`` (m,); undefined ones are left out."""
    metrics = linear_metrics(predicted, weights)
    found = with_intervals(metrics, covariance(list(metrics.values())), len(weights))
    found["ece"] = calibration_error(predicted, weights, covariance)
    return {name: each for name, each in found.items() if each.is_defined}


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


def calibration_error(predicted: BinaryPredictions, weights: Floats, covariance: Covariance) -> Interval:
    """Return the expected calibration error without the part that chance adds; never below 0.

    The upper end is at least the error that would be seen: what chance adds to 0 in 1 of 40 samples.
    """
    gaps = linearised.calibration_gaps(predicted, weights)
    spread = covariance(gaps)
    if not np.isfinite(spread).all():
        return Interval(math.nan, math.nan, math.nan)
    centre = np.array([gap.value for gap in gaps])
    found = float(np.abs(centre).sum())
    gaps_drawn = np.random.default_rng(0).multivariate_normal(centre, spread, DRAWS, method="eigh")
    drawn = np.abs(gaps_drawn).sum(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    value, lower, upper = (max(0.0, 2 * found - float(end)) for end in (drawn.mean(), high, low))
    by_chance = np.abs(gaps_drawn - centre).sum(axis=1)
    visible = float(np.percentile(by_chance, 97.5) - by_chance.mean())
    return Interval(value, lower, max(upper, visible))
