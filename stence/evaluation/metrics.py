"""One question's figures: of the ECGs as they are, by torchmetrics, and of many resamples at once.

A question has probabilities and settled labels, both (n,). A resample weighs each ECG with how often its
patient was drawn, (r, n) for r resamples: torchmetrics knows no weights, and r calls of it would take
minutes. Tests hold the two to the same numbers.
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
"""One number a resample, (r,); NaN where the figure is not defined there."""


@dataclass(frozen=True, slots=True)
class BinaryPredictions:
    """Probabilities and labels (0 or 1) of ECGs, both (n,), and from which probability on one is flagged."""

    probability: NDArray[np.float64]
    label: NDArray[np.float32]
    threshold: float

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Whose probability reaches the threshold."""
        return self.probability >= self.threshold


def figures(predicted: BinaryPredictions) -> dict[str, float]:
    """The figures of these ECGs; NaN where one is not defined, as an AUROC without cases."""
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
    """The same figures of every resample; ``weights`` (r, n)."""
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
    """The area under the ROC curve; NaN without cases or without controls."""
    return _ranked(classification.binary_auroc, probability, label)


def ranking(predicted: BinaryPredictions, weights: NDArray[np.float64]) -> tuple[Rows, Rows]:
    """Area under the ROC curve and average precision of each resample."""
    label = predicted.label.astype(np.float64)
    return ranked(predicted.probability, weights * label, weights * (1 - label))


def ranked(
    probability: NDArray[np.float64], cases: NDArray[np.float64], controls: NDArray[np.float64]
) -> tuple[Rows, Rows]:
    """The same where an ECG may be part of a case and part of a control; ``cases``, ``controls`` (r, n).

    ECGs of equal probability are ranked together: half of their pairs count as in order.
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
    """Slope and intercept of the labels' logistic regression on the logits: 1 and 0 where calibrated.

    (Cox 1958; Newton's method on all resamples together.) NaN without cases or without controls.
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
    """Expected calibration errors (Naeini et al. 2015), bins of equal width, the last one with 1.0.

    Not torchmetrics', which gives a probability of exactly 1 a bin of its own.
    """
    bins = np.minimum((predicted.probability * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    excess = (predicted.label - predicted.probability)[:, None] * np.eye(CALIBRATION_BINS)[bins]
    return ratio(np.abs(weights @ excess).sum(axis=1), weights.sum(axis=1))


def _decisions(predicted: BinaryPredictions, weights: NDArray[np.float64]) -> dict[str, Rows]:
    """The figures that come from flagged or not, case or not."""
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
    """The quotient; NaN where the denominator is not positive."""
    nothing = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.divide(numerator, denominator, out=nothing, where=denominator > 0)


def _ranked(measure: Any, probability: NDArray[np.float64], label: NDArray[np.float32]) -> float:
    if not ((label == 0).any() and (label == 1).any()):
        return float("nan")
    return float(measure(torch.from_numpy(probability), _integers(label), validate_args=False))


def _decided(
    measure: Any, flagged: NDArray[np.bool_], label: NDArray[np.float32], *, where: NDArray[np.bool_]
) -> float:
    """A figure of decisions; NaN where there is none that it would count."""
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
