"""Curves for the plots of a model card, from probabilities and labels (n,) of one target."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional import classification

from stence.evaluation.metrics import CALIBRATION_BINS, BinaryPredictions

Reals = NDArray[np.float64]


class Curve(NamedTuple):
    """Points of a curve, ``x`` and ``y`` (m,), and the operating point ``chosen`` by the threshold."""

    x: Reals
    y: Reals
    chosen: tuple[float, float]


class Bin(NamedTuple):
    """A calibration bin: mean probability, share of cases, and number of ECGs."""

    predicted: float
    observed: float
    ecgs: int


def roc(predicted: BinaryPredictions) -> Curve:
    """Return the ROC curve: sensitivity over 1 - specificity.

    >>> demo = BinaryPredictions(np.array([0.1, 0.4, 0.8]), np.array([0, 1, 1], np.float32), 0.5)
    >>> roc(demo).chosen
    (0.0, 0.5)
    """
    false_alarms, found, _ = classification.binary_roc(*_tensors(predicted), validate_args=False)
    flagged, case = predicted.flagged, predicted.label == 1
    return Curve(false_alarms.numpy(), found.numpy(), (_share(flagged[~case]), _share(flagged[case])))


def precision_recall(predicted: BinaryPredictions) -> Curve:
    """Return the precision-recall curve.

    >>> demo = BinaryPredictions(np.array([0.1, 0.4, 0.8]), np.array([0, 1, 1], np.float32), 0.5)
    >>> precision_recall(demo).chosen
    (0.5, 1.0)
    """
    precision, recall, _ = classification.binary_precision_recall_curve(
        *_tensors(predicted), validate_args=False
    )
    flagged, case = predicted.flagged, predicted.label == 1
    return Curve(recall.numpy(), precision.numpy(), (_share(flagged[case]), _share(case[flagged])))


def calibration(predicted: BinaryPredictions) -> list[Bin]:
    """Return the bins of the expected calibration error that are not empty.

    >>> demo = BinaryPredictions(np.array([0.11, 0.13, 0.8]), np.array([0, 1, 1], np.float32), 0.5)
    >>> [(each.observed, each.ecgs) for each in calibration(demo)]
    [(0.5, 2), (1.0, 1)]
    """
    bins = np.minimum((predicted.probability * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    members = [bins == number for number in np.unique(bins)]
    return [
        Bin(float(predicted.probability[own].mean()), float(predicted.label[own].mean()), int(own.sum()))
        for own in members
    ]


def net_benefit(predicted: BinaryPredictions, thresholds: Reals) -> tuple[Reals, Reals]:
    """Return the net benefit of the model, and of flagging all ECGs, at each threshold (m,) below 1.

    It is true positives minus false positives per ECG. A false positive has the odds of the threshold as
    weight (Vickers & Elkin 2006).

    >>> demo = BinaryPredictions(np.array([0.1, 0.4, 0.8, 0.9]), np.array([0, 0, 1, 1], np.float32), 0.5)
    >>> net_benefit(demo, np.array([0.5]))
    (array([0.5]), array([0.]))
    """
    odds = thresholds / (1 - thresholds)
    flagged = predicted.probability >= thresholds[:, None]
    case = predicted.label == 1
    true, false = (flagged & case).mean(axis=1), (flagged & ~case).mean(axis=1)
    return true - odds * false, case.mean() - odds * (~case).mean()


def _tensors(predicted: BinaryPredictions) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(predicted.probability), torch.from_numpy(predicted.label.astype(np.int64))


def _share(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if values.size else float("nan")
