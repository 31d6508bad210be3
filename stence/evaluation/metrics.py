"""Metrics of one target, of the predictions as they are and of many bootstrap resamples at once.

A target has probabilities and known labels, both (n,), and sample weights (n,). The estimand is per patient:
every patient weighs one, shared equally among the patient's ECGs with a known label (``patient_shares``).
In a resample, the weight of an ECG is multiplied by the number of draws of its patient: (r, n).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

CALIBRATION_BINS = 10
NEWTON_STEPS = 8

Rows = NDArray[np.float64]
"""A number per resample, (r,); NaN if the metric is not defined for it."""


def patient_shares(patients: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the weight of each ECG (n,): 1 / number of the patient's ECGs.

    >>> patient_shares(np.array([7, 7, 9])).tolist()
    [0.5, 0.5, 1.0]
    """
    _, patient, ecgs = np.unique(patients, return_inverse=True, return_counts=True)
    return np.asarray(1 / ecgs[patient])


@dataclass(frozen=True, slots=True)
class BinaryPredictions:
    """Probabilities and labels (0 or 1) of ECGs, both (n,), and the decision threshold.

    ``weight`` (n,) are sample weights, 1 / number of the patient's ECGs for figures per patient; without
    them every ECG weighs one. Every metric counts an ECG by its weight.

    >>> BinaryPredictions(np.array([0.1, 0.8]), np.array([0, 1], np.float32), 0.5).flagged.tolist()
    [False, True]
    """

    probability: NDArray[np.float64]
    label: NDArray[np.float32]
    threshold: float
    weight: NDArray[np.float64] | None = None

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Flags (n,): the probability reaches the threshold."""
        return self.probability >= self.threshold

    @property
    def weights(self) -> NDArray[np.float64]:
        """Sample weights (n,), 1 each if none were given."""
        return np.ones(len(self.label)) if self.weight is None else self.weight

    def among(self, members: NDArray[np.bool_]) -> BinaryPredictions:
        """Return the predictions of ``members`` (n,) only, with the weights they have here."""
        weight = None if self.weight is None else self.weight[members]
        return BinaryPredictions(self.probability[members], self.label[members], self.threshold, weight)


def binary_metrics(predicted: BinaryPredictions) -> dict[str, float]:
    """Return all metrics. An undefined metric is NaN, such as an AUROC without cases.

    >>> demo = BinaryPredictions(np.array([0.1, 0.4, 0.8]), np.array([0, 1, 1], np.float32), 0.5)
    >>> found = binary_metrics(demo)
    >>> found["auroc"], found["sensitivity"], found["specificity"]
    (1.0, 0.5, 1.0)
    """
    once = np.ones((1, len(predicted.label)))
    return {name: float(values[0]) for name, values in resampled_metrics(predicted, once).items()}


def resampled_metrics(predicted: BinaryPredictions, draws: NDArray[np.float64]) -> dict[str, Rows]:
    """Return the same metrics of every resample. ``draws`` (r, n) count how often each ECG was drawn.

    >>> demo = BinaryPredictions(np.array([0.1, 0.4, 0.8]), np.array([0, 1, 1], np.float32), 0.5)
    >>> resampled_metrics(demo, np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 2.0]]))["sensitivity"].tolist()
    [0.5, 1.0]
    """
    weights = draws * predicted.weights
    slope, intercept = calibration_lines(predicted, draws)
    areas, precisions = ranking(predicted, draws)
    return {
        "auroc": areas,
        "auprc": precisions,
        "brier": ratio(weights @ (predicted.probability - predicted.label) ** 2, weights.sum(axis=1)),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        **resampled_decisions(predicted, draws),
    }


def auroc(
    probability: NDArray[np.float64], label: NDArray[np.float32], weight: NDArray[np.float64] | None = None
) -> float:
    """Return the area under the ROC curve; NaN without cases or without controls.

    >>> auroc(np.array([0.1, 0.4, 0.8]), np.array([0, 1, 0], np.float32))
    0.5
    """
    predicted = BinaryPredictions(probability, label, threshold=0.5, weight=weight)
    return float(ranking(predicted, np.ones((1, len(label))))[0][0])


def ranking(predicted: BinaryPredictions, draws: NDArray[np.float64]) -> tuple[Rows, Rows]:
    """Return the area under the ROC curve and the average precision of each resample."""
    label, weights = predicted.label.astype(np.float64), draws * predicted.weights
    return ranked(predicted.probability, weights * label, weights * (1 - label))


def ranked(
    probability: NDArray[np.float64], cases: NDArray[np.float64], controls: NDArray[np.float64]
) -> tuple[Rows, Rows]:
    """Return the same for fractional labels: weights (r, n) of each ECG as case and as control.

    ECGs of equal probability are tied: half of their pairs count as correctly ranked.

    >>> one = np.ones((1, 2))
    >>> area, precision = ranked(np.array([0.2, 0.8]), one * [0, 1], one * [1, 0])
    >>> area.tolist(), precision.tolist()
    ([1.0], [1.0])
    """
    order = np.argsort(probability, kind="stable")
    starts = np.flatnonzero(np.diff(probability[order], prepend=-1.0))
    if not len(starts):
        nothing = np.full(len(cases), np.nan)
        return nothing, nothing
    cases = np.add.reduceat(cases[:, order], starts, axis=1)
    controls = np.add.reduceat(controls[:, order], starts, axis=1)
    all_cases, all_controls = cases.sum(axis=1), controls.sum(axis=1)
    in_order = (cases * (controls.cumsum(axis=1) - controls / 2)).sum(axis=1)
    from_above = (cases + controls)[:, ::-1].cumsum(axis=1)
    precision = ratio(cases[:, ::-1].cumsum(axis=1), from_above)
    precise = np.nansum(cases[:, ::-1] * precision, axis=1)
    both = np.where(all_controls > 0, all_cases, 0.0)
    return ratio(in_order, all_cases * all_controls), ratio(precise, both)


def calibration_lines(predicted: BinaryPredictions, draws: NDArray[np.float64]) -> tuple[Rows, Rows]:
    """Return slope and intercept of the labels' logistic regression on the logits (Cox 1958).

    They are 1 and 0 for a calibrated model, and NaN without cases or without controls. Newton's method runs
    on all resamples at once.

    >>> demo = BinaryPredictions(np.repeat([0.2, 0.8], 5), np.repeat([0, 1, 0], [4, 5, 1]), 0.5)
    >>> np.abs(np.round(calibration_lines(demo, np.ones((1, 10))), 3)).tolist()
    [[1.0], [0.0]]
    """
    x = logit(np.clip(predicted.probability, 1e-6, 1 - 1e-6))
    label, weights = predicted.label.astype(np.float64), draws * predicted.weights
    cases, total = weights @ label, weights.sum(axis=1)
    defined = (cases > 0) & (cases < total)
    slope = np.zeros(len(draws))
    intercept = logit(np.where(defined, ratio(cases, total), 0.5))
    for _ in range(NEWTON_STEPS):
        fitted = expit(slope[:, None] * x + intercept[:, None])
        curvature = weights * fitted * (1 - fitted)
        pull = weights * (label - fitted)
        xx, x1, one = curvature @ (x * x) + 1e-9, curvature @ x, curvature.sum(axis=1) + 1e-9
        to_slope, to_intercept = pull @ x, pull.sum(axis=1)
        determinant = xx * one - x1 * x1
        slope = slope + (one * to_slope - x1 * to_intercept) / determinant
        intercept = intercept + (xx * to_intercept - x1 * to_slope) / determinant
    return np.where(defined, slope, np.nan), np.where(defined, intercept, np.nan)


def calibration_errors(predicted: BinaryPredictions, draws: NDArray[np.float64]) -> Rows:
    """Return expected calibration errors (Naeini et al. 2015) with bins of equal width.

    Chance adds to them; ``stence.evaluation.calibration_error`` has an estimate without this bias. The last
    bin includes 1.0. In torchmetrics a probability of exactly 1 has a separate bin.

    >>> demo = BinaryPredictions(np.array([0.25, 0.75]), np.array([0, 1], np.float32), 0.5)
    >>> calibration_errors(demo, np.ones((1, 2))).tolist()
    [0.25]
    """
    weights = draws * predicted.weights
    excess = (predicted.label - predicted.probability)[:, None] * in_bins(predicted)
    return ratio(np.abs(weights @ excess).sum(axis=1), weights.sum(axis=1))


def in_bins(predicted: BinaryPredictions) -> NDArray[np.float64]:
    """Return 1 where an ECG lies in a calibration bin, else 0: (n, bins).

    >>> demo = BinaryPredictions(np.array([0.05, 1.0]), np.array([0, 1], np.float32), 0.5)
    >>> in_bins(demo)[:, [0, 9]].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    bins = np.minimum((predicted.probability * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return np.eye(CALIBRATION_BINS)[bins]


def resampled_decisions(predicted: BinaryPredictions, draws: NDArray[np.float64]) -> dict[str, Rows]:
    """Return the prevalence and the metrics of the confusion matrix of every resample.

    >>> demo = BinaryPredictions(np.array([0.1, 0.4, 0.8]), np.array([0, 1, 1], np.float32), 0.5)
    >>> resampled_decisions(demo, np.ones((1, 3)))["specificity"].tolist()
    [1.0]
    """
    weights = draws * predicted.weights
    flagged, case = predicted.flagged.astype(np.float64), predicted.label.astype(np.float64)
    total, alerts, cases = weights.sum(axis=1), weights @ flagged, weights @ case
    found = weights @ (flagged * case)
    correct = total - alerts - cases + 2 * found
    by_chance = ratio(alerts * cases + (total - alerts) * (total - cases), total)
    sensitivity = ratio(found, cases)
    specificity = ratio(total - alerts - cases + found, total - cases)
    return {
        "prevalence": ratio(cases, total),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "positive_predictive_value": ratio(found, alerts),
        "f1": ratio(2 * found, alerts + cases),
        "accuracy": ratio(correct, total),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "kappa": ratio(correct - by_chance, total - by_chance),
        "alerts_per_1000": 1000 * ratio(alerts, total),
    }


def ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quotient; NaN where the denominator is not positive.

    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0])).tolist()
    [0.5, nan]
    """
    nothing = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.divide(numerator, denominator, out=nothing, where=denominator > 0)
