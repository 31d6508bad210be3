"""How good calibrated probabilities are, with 95 % intervals from resampling patients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stence.domain.thresholds import Threshold
from stence.evaluation import metrics
from stence.evaluation.bootstrap import interval, resamples
from stence.evaluation.metrics import BinaryPredictions
from stence.evaluation.predictions import Predictions, TargetPredictions, target_predictions


def auroc(probabilities: NDArray[np.float64], labels: NDArray[np.float32]) -> float:
    """The mean over the targets of the area under the ROC curve; both (n, targets), NaN labels left out.

    Targets without a case or without a control do not count; NaN if that is all of them.
    """
    areas = [
        metrics.auroc(probability[known], label[known])
        for probability, label in zip(probabilities.T, labels.T, strict=True)
        for known in [~np.isnan(label)]
    ]
    return float(np.nanmean(areas)) if not np.isnan(areas).all() else float("nan")


def evaluate(predictions: Predictions, thresholds: Mapping[str, Threshold], count: int) -> dict[str, Any]:
    """Every target's and grey zone's figures on its ECGs with a settled label, as JSON.

    A figure is ``{value, lower, upper}`` from ``count`` resamples, all null where it is not defined, as an
    AUROC without cases. Besides, the numbers of ECGs, patients and cases, and the same of each subgroup.
    """
    groups = predictions.subgroups()
    return {
        of_target.name: _measured(of_target, predictions, count)
        | {
            "subgroups": {
                name: _measured(of_target.among(members), predictions, count)
                for name, members in groups.items()
            }
        }
        for of_target in target_predictions(predictions, thresholds)
    }


def measured(predicted: BinaryPredictions, patients: NDArray[np.int64], count: int) -> dict[str, Any]:
    """One question's figures, as JSON: see ``evaluate``; ``patients`` (n,) tell those of its ECGs apart."""
    blocks = [metrics.resampled_metrics(predicted, weights) for weights in resamples(patients, count)]
    return {
        "ecgs": len(predicted.label),
        "patients": len(np.unique(patients)),
        "cases": int(predicted.label.sum()),
    } | {
        name: interval(value, np.concatenate([np.empty(0), *(block[name] for block in blocks)]))
        for name, value in metrics.figures(predicted).items()
    }


def _measured(of_target: TargetPredictions, predictions: Predictions, count: int) -> dict[str, Any]:
    return measured(of_target.predicted, predictions.patients[of_target.rows], count)
