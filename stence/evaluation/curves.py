"""Curves for the plots of a model card, from the weighted predictions (n,) of one target."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.evaluation.metrics import BinaryPredictions, in_bins, ratio

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
    found, false_alarms = _from_above(predicted)
    flagged, case = predicted.flagged, predicted.label == 1
    chosen = _share(flagged, predicted, ~case), _share(flagged, predicted, case)
    return Curve(false_alarms / false_alarms[-1], found / found[-1], chosen)


def precision_recall(predicted: BinaryPredictions) -> Curve:
    """Return the precision-recall curve.

    >>> demo = BinaryPredictions(np.array([0.1, 0.4, 0.8]), np.array([0, 1, 1], np.float32), 0.5)
    >>> precision_recall(demo).chosen
    (0.5, 1.0)
    """
    found, false_alarms = _from_above(predicted)
    precision = ratio(found, found + false_alarms)
    precision[0] = 1.0  # nothing is flagged, and nothing wrongly
    flagged, case = predicted.flagged, predicted.label == 1
    chosen = _share(flagged, predicted, case), _share(case, predicted, flagged)
    return Curve(found / found[-1], precision, chosen)


def calibration(predicted: BinaryPredictions) -> list[Bin]:
    """Return the bins of the calibration error that are not empty.

    >>> demo = BinaryPredictions(np.array([0.11, 0.13, 0.8]), np.array([0, 1, 1], np.float32), 0.5)
    >>> [(each.observed, each.ecgs) for each in calibration(demo)]
    [(0.5, 2), (1.0, 1)]
    """
    inside = [member > 0 for member in in_bins(predicted).T if member.any()]
    return [
        Bin(
            _share(predicted.probability, predicted, own),
            _share(predicted.label == 1, predicted, own),
            int(own.sum()),
        )
        for own in inside
    ]


def net_benefit(predicted: BinaryPredictions, thresholds: Reals) -> tuple[Reals, Reals]:
    """Return the net benefit of the model, and of flagging everybody, at each threshold (m,) below 1.

    It is true positives minus false positives, per unit of weight: per patient where the weights are. A
    false positive has the odds of the threshold as weight (Vickers & Elkin 2006).

    >>> demo = BinaryPredictions(np.array([0.1, 0.4, 0.8, 0.9]), np.array([0, 0, 1, 1], np.float32), 0.5)
    >>> net_benefit(demo, np.array([0.5]))
    (array([0.5]), array([0.]))
    """
    odds = thresholds / (1 - thresholds)
    weight = predicted.weights / predicted.weights.sum()
    flagged = predicted.probability >= thresholds[:, None]
    case = predicted.label == 1
    true, false = (flagged & case) @ weight, (flagged & ~case) @ weight
    return true - odds * false, case @ weight - odds * (~case @ weight)


def _from_above(predicted: BinaryPredictions) -> tuple[Reals, Reals]:
    """Return the weight of cases and of controls flagged at each distinct threshold, from none to all."""
    order = np.argsort(-predicted.probability, kind="stable")
    falling = predicted.probability[order]
    last = np.flatnonzero(np.diff(falling, append=-1.0))
    cases, controls = (
        np.cumsum(np.where(own, predicted.weights, 0.0)[order])[last]
        for own in (predicted.label == 1, predicted.label == 0)
    )
    return np.append(0.0, cases), np.append(0.0, controls)


def _share(values: NDArray[Any], predicted: BinaryPredictions, among: NDArray[np.bool_]) -> float:
    """Return the weighted mean of ``values`` (n,) over the ECGs ``among`` (n,); NaN if there are none."""
    weight = predicted.weights[among]
    return float(values[among] @ weight / weight.sum()) if weight.size else float("nan")
