"""How good calibrated probabilities are, with 95 % intervals from resampling patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from stence.models.targets import TARGET_NAMES
from stence.models.thresholds import Threshold

Figures = dict[str, float]

CALIBRATION_BINS = 10
NEWTON_STEPS = 8
INTERVAL = (2.5, 97.5)
"""Percentiles of the resamples."""


def auroc(probabilities: NDArray[np.float64], labels: NDArray[np.float32]) -> float:
    """The mean over the targets of the area under the ROC curve; both (n, 6), NaN labels left out.

    Targets without a case or without a control do not count; NaN if that is all of them.
    """
    areas = [
        _auroc(probability[known], label[known])
        for probability, label in zip(probabilities.T, labels.T, strict=True)
        for known in [~np.isnan(label)]
    ]
    return float(np.nanmean(areas)) if not np.isnan(areas).all() else float("nan")


@dataclass(frozen=True, slots=True)
class Assessed:
    """Probabilities and labels of ECGs, both (n, 6), and their patients (n,)."""

    probabilities: NDArray[np.float64]
    labels: NDArray[np.float32]
    patients: NDArray[np.int64]


def evaluate(assessed: Assessed, thresholds: Mapping[str, Threshold], resamples: int) -> dict[str, Any]:
    """Each target's figures on its ECGs with a settled label, as JSON.

    A figure is ``{value, lower, upper}``, all null where it is not defined, as an AUROC without cases.
    Besides, the number of ECGs and of patients.
    """
    report = {}
    for column, name in enumerate(TARGET_NAMES):
        settled = ~np.isnan(assessed.labels[:, column])
        probability, label = assessed.probabilities[settled, column], assessed.labels[settled, column]
        measure = partial(_figures_on, probability, label, thresholds[name].value)
        report[name] = _with_intervals(measure, assessed.patients[settled], resamples)
    return report


def figures(probability: NDArray[np.float64], label: NDArray[np.float32], threshold: float) -> Figures:
    """One target's figures on (n,) ECGs; NaN where one is not defined."""
    flagged = probability >= threshold
    slope, intercept = calibration_line(probability, label)
    return {
        "prevalence": _mean(label),
        "auroc": _auroc(probability, label),
        "auprc": _auprc(probability, label),
        "brier": _mean((probability - label) ** 2),
        "calibration_error": _calibration_error(probability, label),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        "sensitivity": _mean(flagged[label == 1]),
        "specificity": _mean(~flagged[label == 0]),
        "positive_predictive_value": _mean(label[flagged]),
        "alerts_per_1000": 1000 * _mean(flagged),
    }


def _figures_on(
    probability: NDArray[np.float64], label: NDArray[np.float32], threshold: float, rows: NDArray[np.intp]
) -> Figures:
    return figures(probability[rows], label[rows], threshold)


def calibration_line(probability: NDArray[np.float64], label: NDArray[np.float32]) -> tuple[float, float]:
    """Slope and intercept of the labels' logistic regression on the logits: 1 and 0 where calibrated.

    (Cox 1958.) NaN without cases or without controls.
    """
    if not _both_classes(label):
        return float("nan"), float("nan")
    x = logit(np.clip(probability, 1e-6, 1 - 1e-6))
    design = np.stack([x, np.ones_like(x)])
    line = np.array([0.0, logit(label.mean(dtype=np.float64))])
    for _ in range(NEWTON_STEPS):
        fitted = expit(line @ design)
        curvature = (design * (fitted * (1 - fitted))) @ design.T
        line = line + np.linalg.solve(curvature + 1e-9 * np.eye(2), design @ (label - fitted))
    return float(line[0]), float(line[1])


def _with_intervals(
    measure: Callable[[NDArray[np.intp]], Figures], patients: NDArray[np.int64], resamples: int
) -> dict[str, Any]:
    """Figures that ``measure`` finds on rows, and their spread when patients are drawn with replacement."""
    names, patient = np.unique(patients, return_inverse=True)
    rows = np.arange(len(patients))
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(resamples if len(names) else 0):
        times = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        drawn.append(measure(np.repeat(rows, times[patient])))
    intervals = {
        name: _interval(value, np.array([draw[name] for draw in drawn]))
        for name, value in measure(rows).items()
    }
    return {"ecgs": len(rows), "patients": len(names), **intervals}


def _interval(value: float, drawn: NDArray[np.float64]) -> dict[str, float | None]:
    defined = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not defined.size:
        return {"value": None, "lower": None, "upper": None}
    lower, upper = np.percentile(defined, INTERVAL)
    return {"value": round(value, 4), "lower": round(float(lower), 4), "upper": round(float(upper), 4)}


def _auroc(probability: NDArray[np.float64], label: NDArray[np.float32]) -> float:
    if not _both_classes(label):
        return float("nan")
    return float(binary_auroc(*_tensors(probability, label), validate_args=False))


def _auprc(probability: NDArray[np.float64], label: NDArray[np.float32]) -> float:
    if not _both_classes(label):
        return float("nan")
    return float(binary_average_precision(*_tensors(probability, label), validate_args=False))


def _calibration_error(probability: NDArray[np.float64], label: NDArray[np.float32]) -> float:
    """Expected calibration error (Naeini et al. 2015), bins of equal width, the last one with 1.0."""
    if not label.size:
        return float("nan")
    bins = np.minimum((probability * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return float(np.abs(np.bincount(bins, label - probability)).sum() / len(label))


def _tensors(
    probability: NDArray[np.float64], label: NDArray[np.float32]
) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(probability), torch.from_numpy(label.astype(np.int64))


def _both_classes(label: NDArray[np.float32]) -> bool:
    return bool((label == 0).any() and (label == 1).any())


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")
