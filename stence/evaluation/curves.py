"""The curves behind a model card's pictures, of one question's probabilities and labels, both (n,)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional import classification

from stence.evaluation.metrics import CALIBRATION_BINS, BinaryPredictions

Reals = NDArray[np.float64]


class Curve(NamedTuple):
    """Points to join, (m,) each, and where the operating threshold lies on it."""

    x: Reals
    y: Reals
    chosen: tuple[float, float]


class Bin(NamedTuple):
    """ECGs of about the same probability: its mean, the share of cases among them, and how many they are."""

    predicted: float
    observed: float
    ecgs: int


def roc(predicted: BinaryPredictions) -> Curve:
    """Sensitivity over 1 - specificity."""
    false_alarms, found, _ = classification.binary_roc(*_tensors(predicted), validate_args=False)
    flagged, case = predicted.flagged, predicted.label == 1
    return Curve(false_alarms.numpy(), found.numpy(), (_share(flagged[~case]), _share(flagged[case])))


def precision_recall(predicted: BinaryPredictions) -> Curve:
    """Precision over recall."""
    precision, recall, _ = classification.binary_precision_recall_curve(
        *_tensors(predicted), validate_args=False
    )
    flagged, case = predicted.flagged, predicted.label == 1
    return Curve(recall.numpy(), precision.numpy(), (_share(flagged[case]), _share(case[flagged])))


def calibration(predicted: BinaryPredictions) -> list[Bin]:
    """The bins of the expected calibration error that hold any ECG."""
    bins = np.minimum((predicted.probability * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    members = [bins == number for number in np.unique(bins)]
    return [
        Bin(float(predicted.probability[own].mean()), float(predicted.label[own].mean()), int(own.sum()))
        for own in members
    ]


def net_benefit(predicted: BinaryPredictions, thresholds: Reals) -> tuple[Reals, Reals]:
    """Net benefit of flagging by the model, and of flagging everybody, at each threshold (m,) below 1.

    True alarms less false ones, a false one weighing the threshold's odds (Vickers & Elkin 2006); per ECG.
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
