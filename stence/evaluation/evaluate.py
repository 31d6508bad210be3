"""Metrics of calibrated probabilities per patient, with 95 % bootstrap intervals over patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stence.domain.thresholds import Threshold
from stence.evaluation import linearised, metrics
from stence.evaluation.bootstrap import interval, resamples
from stence.evaluation.calibration_error import calibration_error
from stence.evaluation.metrics import BinaryPredictions, patient_shares, resampled_decisions
from stence.evaluation.predictions import Predictions, TargetPredictions, target_predictions


def auroc(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.float32],
    patients: NDArray[np.int64] | None = None,
) -> float:
    """Return the AUROC, averaged over targets. Both arrays are (n, targets); NaN labels are left out.

    With ``patients`` (n,) every patient weighs one, otherwise every row. Targets without cases or
    without controls are left out. The result is NaN if no target remains.

    >>> probabilities = np.array([[0.1, 0.5], [0.7, 0.5], [0.9, 0.5]])
    >>> auroc(probabilities, np.array([[0, 0], [1, 1], [1, np.nan]], np.float32))
    0.75
    """
    areas = [
        metrics.auroc(
            probability[known],
            label[known],
            None if patients is None else patient_shares(patients[known]),
        )
        for probability, label in zip(probabilities.T, labels.T, strict=True)
        for known in [~np.isnan(label)]
    ]
    return float(np.nanmean(areas)) if not np.isnan(areas).all() else float("nan")


def evaluate(
    predictions: Predictions,
    thresholds: Mapping[str, Threshold],
    count: int,
    calibrated: Predictions | None = None,
) -> dict[str, Any]:
    """Return the metrics of every target and grey zone as JSON, over ECGs with a known label, per patient.

    Every patient weighs one, shared equally among the patient's ECGs with a known label. A metric
    is ``{value, lower, upper}``, see ``measured``. All three are null if the metric is not defined, such as
    an AUROC without cases. Each target also has the numbers of ECGs, patients and cases, and the
    same content for each subgroup. ``calibrated`` has the probabilities of the same ECGs whose calibration
    is measured, if not ``predictions``.
    """
    patients, groups = predictions.patients, predictions.subgroups()
    pairs = zip(
        target_predictions(predictions, thresholds),
        target_predictions(calibrated or predictions, thresholds),
        strict=True,
    )
    return {
        own.name: _measured(own, other, patients, count)
        | {
            "subgroups": {
                name: _measured(own.among(members), other.among(members), patients, count)
                for name, members in groups.items()
            }
        }
        for own, other in pairs
    }


def measured(
    predicted: BinaryPredictions,
    patients: NDArray[np.int64],
    count: int,
    calibrated: BinaryPredictions | None = None,
) -> dict[str, Any]:
    """Return the metrics of one target as JSON: see ``evaluate``. ``patients`` (n,) identify the patients.

    Every patient weighs one if the predictions have no weights of their own. Ranking and calibration have the
    intervals of ``stence.evaluation.linearised``, decisions those of ``count`` resamples of patients.
    ``calibration_error`` is the debiased one of ``stence.evaluation.calibration_error``.

    >>> demo = BinaryPredictions(np.array([0.1, 0.4, 0.8]), np.array([0, 1, 1], np.float32), 0.5)
    >>> found = measured(demo, patients=np.array([1, 2, 2]), count=10)
    >>> found["patients"], found["sensitivity"]
    (2, {'value': 0.5, 'lower': 0.5, 'upper': 0.5})
    """
    if predicted.weight is None:
        predicted = replace(predicted, weight=patient_shares(patients))
    calibrated = replace(predicted, probability=(calibrated or predicted).probability)
    return {
        "ecgs": len(predicted.label),
        "patients": len(np.unique(patients)),
        "cases": int(predicted.label.sum()),
        **_decisions(predicted, patients, count),
        **_ranking_and_calibration(predicted, calibrated, patients),
        "calibration_error": calibration_error(calibrated, patients, resamples(patients, count)).as_json(),
    }


def _decisions(predicted: BinaryPredictions, patients: NDArray[np.int64], count: int) -> dict[str, Any]:
    once = resampled_decisions(predicted, np.ones((1, len(patients))))
    blocks = [resampled_decisions(predicted, draws) for draws in resamples(patients, count)]
    return {
        name: interval(float(value[0]), np.concatenate([np.empty(0), *(block[name] for block in blocks)]))
        for name, value in once.items()
    }


def _ranking_and_calibration(
    predicted: BinaryPredictions, calibrated: BinaryPredictions, patients: NDArray[np.int64]
) -> dict[str, Any]:
    weights, case = predicted.weights, predicted.label == 1
    squares = (calibrated.probability - calibrated.label) ** 2
    slope, intercept = linearised.calibration_line(calibrated, weights)
    found = {
        "auroc": linearised.auroc(predicted, weights),
        "auprc": linearised.auprc(predicted, weights),
        "brier": linearised.share(squares, np.ones_like(weights), weights),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
    }
    influences = np.stack([weights * metric.derivative for metric in found.values()])
    covariance = linearised.clustered_covariance(influences, patients)
    fewest = min(len(np.unique(patients[of])) for of in (case, ~case))
    return {
        name: each.as_json() for name, each in linearised.with_intervals(found, covariance, fewest).items()
    }


def _measured(
    own: TargetPredictions, calibrated: TargetPredictions, patients: NDArray[np.int64], count: int
) -> dict[str, Any]:
    return measured(own.predicted, patients[own.rows], count, calibrated.predicted)
