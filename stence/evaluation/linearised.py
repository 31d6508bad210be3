"""Weighted metrics of one target with their derivatives by each weight, for intervals without resampling.

A metric T of weighted ECGs changes by D_i dw_i if the weight of ECG i changes by dw_i. A patient's influence
is the sum of w_i D_i over the patient's ECGs; the squares of all influences sum to the variance of T
(infinitesimal jackknife: Jaeckel 1972; Efron 1982). Scaling all weights leaves T as it is, so that the
influences sum to 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from stence.evaluation.intervals import Interval, normal, on_logit_scale
from stence.evaluation.metrics import CALIBRATION_BINS, BinaryPredictions, calibration_lines

ON_THE_LINE = ("calibration_slope", "calibration_intercept")
"""Metrics that are no shares, 0 to 1."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Linear:
    """A metric's ``value`` with its ``derivative`` (m,) by the weight of each ECG."""

    value: float
    derivative: Floats


def share(of: Floats, among: Floats, weights: Floats) -> Linear:
    """Return the weighted share of ``of`` (m,) among the ECGs ``among`` (m,), both 0 to 1.

    >>> share(np.array([1.0, 0.0]), np.ones(2), np.array([3.0, 1.0])).value
    0.75
    """
    total = float(weights @ among)
    value = float(weights @ (of * among)) / total if total > 0 else float("nan")
    return Linear(value, (of - value) * among / total if total > 0 else np.full(len(of), np.nan))


def auroc(predicted: BinaryPredictions, weights: Floats) -> Linear:
    """Return the area under the ROC curve (DeLong 1988). Half of the pairs of equal probability count.

    >>> demo = BinaryPredictions(np.array([0.1, 0.4, 0.8]), np.array([0, 1, 0], np.float32), 0.5)
    >>> auroc(demo, np.ones(3)).value
    0.5
    """
    group, cases, controls = _groups(predicted, weights)
    if not (cases.any() and controls.any()):
        return _undefined(len(weights))
    below = (controls.cumsum() - controls / 2) / controls.sum()
    above = (cases[::-1].cumsum()[::-1] - cases / 2) / cases.sum()
    value = float(cases @ below / cases.sum())
    case = predicted.label == 1
    derivative = np.where(case, (below[group] - value) / cases.sum(), (above[group] - value) / controls.sum())
    return Linear(value, derivative)


def auprc(predicted: BinaryPredictions, weights: Floats) -> Linear:
    """Return the average precision.

    >>> demo = BinaryPredictions(np.array([0.1, 0.4, 0.8]), np.array([0, 1, 1], np.float32), 0.5)
    >>> auprc(demo, np.ones(3)).value
    1.0
    """
    group, cases, controls = _groups(predicted, weights)
    if not (cases.any() and controls.any()):
        return _undefined(len(weights))
    found = cases[::-1].cumsum()[::-1]
    flagged = (cases + controls)[::-1].cumsum()[::-1]
    precision = np.divide(found, flagged, out=np.zeros_like(found), where=flagged > 0)
    value = float(cases @ precision / cases.sum())
    per_flag = np.divide(cases, flagged, out=np.zeros_like(found), where=flagged > 0)
    gain, loss = (per_flag * (1 - precision)).cumsum(), (per_flag * precision).cumsum()
    case = predicted.label == 1
    derivative = np.where(case, precision[group] + gain[group] - value, -loss[group]) / cases.sum()
    return Linear(value, derivative)


def calibration_line(predicted: BinaryPredictions, weights: Floats) -> tuple[Linear, Linear]:
    """Return slope and intercept of the labels' logistic regression on the logits (Cox 1958).

    Both are NaN without cases or without controls, and the slope is for predictions that are all the same.

    >>> demo = BinaryPredictions(np.repeat([0.2, 0.8], 5), np.repeat([0, 1, 0], [4, 5, 1]), 0.5)
    >>> [round(abs(found.value), 3) for found in calibration_line(demo, np.ones(10))]
    [1.0, 0.0]
    """
    slopes, intercepts = calibration_lines(replace(predicted, weight=weights), np.ones((1, len(weights))))
    slope, intercept = float(slopes[0]), float(intercepts[0])
    if not np.isfinite(slope):
        return _undefined(len(weights)), _undefined(len(weights))
    x = logit(np.clip(predicted.probability, 1e-6, 1 - 1e-6))
    design = np.stack([x, np.ones_like(x)])
    fitted = expit(slope * x + intercept)
    curvature = (design * (weights * fitted * (1 - fitted))) @ design.T + 1e-9 * np.eye(2)
    moved = np.linalg.solve(curvature, design * (predicted.label - fitted))
    spread = np.ptp(x) > 0
    return Linear(slope, moved[0]) if spread else _undefined(len(weights)), Linear(intercept, moved[1])


def calibration_gaps(predicted: BinaryPredictions, weights: Floats) -> list[Linear]:
    """Return observed minus predicted cases of each bin of equal width, as a share of all weights.

    The absolute values sum to the expected calibration error.
    """
    bins = np.minimum((predicted.probability * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    excess = predicted.label - predicted.probability
    everyone = np.ones(len(excess))
    return [share(excess * (bins == number), everyone, weights) for number in np.unique(bins)]


def clustered_covariance(influences: Floats, patients: NDArray[np.int64]) -> Floats:
    """Return the covariance (k, k) of k metrics from the ``influences`` (k, m) of ECGs of ``patients`` (m,).

    An ECG's influence is its weight times the metric's derivative. Those of a patient's ECGs are added up
    before they are squared, since patients are independent and their ECGs are not. NaN for a single patient.

    >>> clustered_covariance(np.array([[0.1, 0.1, -0.2]]), np.array([1, 1, 2])).round(2).tolist()
    [[0.16]]
    """
    _, patient = np.unique(patients, return_inverse=True)
    people = int(patient.max(initial=-1)) + 1
    by_patient = np.stack([np.bincount(patient, weights=row, minlength=people) for row in influences])
    factor = people / (people - 1) if people > 1 else np.nan
    return np.asarray(factor * by_patient @ by_patient.T)


def with_intervals(metrics: Mapping[str, Linear], covariance: Floats, count: int) -> dict[str, Interval]:
    """Return k ``metrics`` with their intervals from their ``covariance`` (k, k).

    Slope and intercept are nearly normal themselves, shares and areas on the logit scale. ``count`` is the
    number of observations, for shares of 0 or 1.

    >>> half = Linear(0.5, np.zeros(1))
    >>> with_intervals({"auroc": half, "calibration_slope": half}, 0.01 * np.eye(2), 25)["auroc"].upper < 0.69
    True
    """
    errors = np.sqrt(np.maximum(covariance.diagonal(), 0)).tolist()
    return {
        name: normal(metric.value, error)
        if name in ON_THE_LINE
        else on_logit_scale(metric.value, error, count)
        for (name, metric), error in zip(metrics.items(), errors, strict=True)
    }


def _undefined(count: int) -> Linear:
    return Linear(float("nan"), np.full(count, np.nan))


def _groups(predicted: BinaryPredictions, weights: Floats) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Return the group of equal probability (m,) of each ECG, and each group's cases and controls."""
    values, group = np.unique(predicted.probability, return_inverse=True)
    case = predicted.label.astype(np.float64)
    cases = np.bincount(group, weights=weights * case, minlength=len(values))
    controls = np.bincount(group, weights=weights * (1 - case), minlength=len(values))
    return group, cases.astype(np.float64), controls.astype(np.float64)
