"""Metrics of one target: of the ECGs themselves by torchmetrics, and of many bootstrap resamples at once.

A target has probabilities and known labels, both (n,). In a resample, the sample weight of an ECG is the
number of draws of its patient: (r, n) for r resamples. torchmetrics has no sample weights, and r calls would
take minutes. Tests check that both computations agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit
from torchmetrics.functional import classification

CALIBRATION_BINS = 10
NEWTON_STEPS = 8

Rows = NDArray[np.float64]
"""A number per resample, (r,); NaN if the metric is not defined for it."""


@dataclass(frozen=True, slots=True)
class BinaryPredictions:
    """Probabilities and labels (0 or 1) of ECGs, both (n,), and the decision threshold.

    >>> BinaryPredictions(np.array([0.1, 0.8]), np.array([0, 1], np.float32), 0.5).flagged.tolist()
    [False, True]
    """

    probability: NDArray[np.float64]
    label: NDArray[np.float32]
    threshold: float

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Flags (n,): the probability reaches the threshold."""
        return self.probability >= self.threshold


def binary_metrics(predicted: BinaryPredictions) -> dict[str, float]:
    """Return all metrics of these ECGs. An undefined metric is NaN, such as an AUROC without cases.

    >>> demo = BinaryPredictions(np.array([0.1, 0.4, 0.8]), np.array([0, 1, 1], np.float32), 0.5)
    >>> found = binary_metrics(demo)
    >>> found["auroc"], found["sensitivity"], found["specificity"]
    (1.0, 0.5, 1.0)
    """
    label, flagged = predicted.label, predicted.flagged
    everyone = np.ones((1, len(label)))
    slope, intercept = calibration_lines(predicted, everyone)
    return {
        "prevalence": _mean(label),
        "auroc": auroc(predicted.probability, label),
        "auprc": _ranked(classification.binary_average_precision, predicted.probability, label),
        "brier": _mean((predicted.probability - label) ** 2),
        "calibration_error": float(calibration_errors(predicted, everyone)[0]),
        "calibration_slope": float(slope[0]),
        "calibration_intercept": float(intercept[0]),
        "sensitivity": _decided(classification.binary_recall, flagged, label, where=label == 1),
        "specificity": _decided(classification.binary_specificity, flagged, label, where=label == 0),
        "positive_predictive_value": _decided(classification.binary_precision, flagged, label, where=flagged),
        "f1": _decided(classification.binary_f1_score, flagged, label, where=flagged | (label == 1)),
        "accuracy": _decided(classification.binary_accuracy, flagged, label, where=label >= 0),
        "balanced_accuracy": _balanced_accuracy(flagged, label),
        "kappa": _decided(classification.binary_cohen_kappa, flagged, label, where=label >= 0),
        "alerts_per_1000": 1000 * _mean(flagged),
    }


def resampled_metrics(predicted: BinaryPredictions, weights: NDArray[np.float64]) -> dict[str, Rows]:
    """Return the same metrics of every resample. ``weights`` (r, n) are the resamples' sample weights.

    >>> demo = BinaryPredictions(np.array([0.1, 0.4, 0.8]), np.array([0, 1, 1], np.float32), 0.5)
    >>> resampled_metrics(demo, np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 2.0]]))["sensitivity"].tolist()
    [0.5, 1.0]
    """
    total, label = weights.sum(axis=1), predicted.label
    slope, intercept = calibration_lines(predicted, weights)
    areas, precisions = ranking(predicted, weights)
    return {
        "prevalence": ratio(weights @ label, total),
        "auroc": areas,
        "auprc": precisions,
        "brier": ratio(weights @ (predicted.probability - label) ** 2, total),
        "calibration_error": calibration_errors(predicted, weights),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        **_decisions(predicted, weights),
    }


def auroc(probability: NDArray[np.float64], label: NDArray[np.float32]) -> float:
    """Return the area under the ROC curve; NaN without cases or without controls.

    >>> auroc(np.array([0.1, 0.4, 0.8]), np.array([0, 1, 0], np.float32))
    0.5
    """
    return _ranked(classification.binary_auroc, probability, label)


def ranking(predicted: BinaryPredictions, weights: NDArray[np.float64]) -> tuple[Rows, Rows]:
    """Return the area under the ROC curve and the average precision of each resample."""
    label = predicted.label.astype(np.float64)
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


def calibration_lines(predicted: BinaryPredictions, weights: NDArray[np.float64]) -> tuple[Rows, Rows]:
    """Return slope and intercept of the labels' logistic regression on the logits (Cox 1958).

    They are 1 and 0 for a calibrated model, and NaN without cases or without controls. Newton's method runs
    on all resamples at once.

    >>> demo = BinaryPredictions(np.repeat([0.2, 0.8], 5), np.repeat([0, 1, 0], [4, 5, 1]), 0.5)
    >>> np.abs(np.round(calibration_lines(demo, np.ones((1, 10))), 3)).tolist()
    [[1.0], [0.0]]
    """
    x = logit(np.clip(predicted.probability, 1e-6, 1 - 1e-6))
    label = predicted.label.astype(np.float64)
    cases, total = weights @ label, weights.sum(axis=1)
    defined = (cases > 0) & (cases < total)
    slope = np.zeros(len(weights))
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


def calibration_errors(predicted: BinaryPredictions, weights: NDArray[np.float64]) -> Rows:
    """Return expected calibration errors (Naeini et al. 2015) with bins of equal width.

    The last bin includes 1.0. In torchmetrics a probability of exactly 1 has a separate bin.

    >>> demo = BinaryPredictions(np.array([0.25, 0.75]), np.array([0, 1], np.float32), 0.5)
    >>> calibration_errors(demo, np.ones((1, 2))).tolist()
    [0.25]
    """
    bins = np.minimum((predicted.probability * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    excess = (predicted.label - predicted.probability)[:, None] * np.eye(CALIBRATION_BINS)[bins]
    return ratio(np.abs(weights @ excess).sum(axis=1), weights.sum(axis=1))


def _decisions(predicted: BinaryPredictions, weights: NDArray[np.float64]) -> dict[str, Rows]:
    """Return the metrics of the confusion matrix."""
    flagged, case = predicted.flagged.astype(np.float64), predicted.label.astype(np.float64)
    total, alerts, cases = weights.sum(axis=1), weights @ flagged, weights @ case
    found = weights @ (flagged * case)
    correct = total - alerts - cases + 2 * found
    by_chance = (alerts * cases + (total - alerts) * (total - cases)) / np.maximum(total, 1)
    sensitivity = ratio(found, cases)
    specificity = ratio(total - alerts - cases + found, total - cases)
    return {
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


def _ranked(measure: Any, probability: NDArray[np.float64], label: NDArray[np.float32]) -> float:
    if not ((label == 0).any() and (label == 1).any()):
        return float("nan")
    return float(measure(torch.from_numpy(probability), _integers(label), validate_args=False))


def _decided(
    measure: Any, flagged: NDArray[np.bool_], label: NDArray[np.float32], *, where: NDArray[np.bool_]
) -> float:
    """Return a metric of decisions; NaN if no ECG in ``where`` counts for it."""
    if not where.any():
        return float("nan")
    return float(measure(_integers(flagged), _integers(label), validate_args=False))


def _balanced_accuracy(flagged: NDArray[np.bool_], label: NDArray[np.float32]) -> float:
    if not ((label == 0).any() and (label == 1).any()):
        return float("nan")
    return float(
        classification.multiclass_accuracy(
            _integers(flagged), _integers(label), num_classes=2, average="macro", validate_args=False
        )
    )


def _integers(values: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.int64))


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")
