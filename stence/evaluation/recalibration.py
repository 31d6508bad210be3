"""Level and slope of calibration with standard errors that hold for several ECGs a patient."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from stence.evaluation.metrics import NEWTON_STEPS, BinaryPredictions, calibration_lines

Reals = NDArray[np.float64]


class Estimate(NamedTuple):
    """A value and its standard error; NaN where undefined."""

    value: float
    error: float

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """Return value - z errors, value + z errors: a 95 % interval by default.

        >>> Estimate(1.0, 0.5).interval(2.0)
        (0.0, 2.0)
        """
        return self.value - z * self.error, self.value + z * self.error


def level(predicted: BinaryPredictions, patients: NDArray[np.int64]) -> Estimate:
    """Return the log odds that the predictions lack: calibration in the large (Cox 1958, slope held at 1).

    It is 0 for calibrated predictions and -log(1.6) if their odds are 1.6 times too high.
    """
    x, label, weight = _logits(predicted), predicted.label.astype(np.float64), predicted.weights
    if not _both(label, weight):
        return Estimate(np.nan, np.nan)
    shift = 0.0
    for _ in range(NEWTON_STEPS):
        fitted = expit(x + shift)
        shift += float(weight @ (label - fitted)) / max(float(weight @ (fitted * (1 - fitted))), 1e-9)
    fitted = expit(x + shift)
    pull = _by_patient(patients, (weight * (label - fitted))[None])
    information = np.array([[weight @ (fitted * (1 - fitted))]])
    return Estimate(shift, _errors(information, pull)[0])


def slope(predicted: BinaryPredictions, patients: NDArray[np.int64]) -> Estimate:
    """Return the slope of the labels' logistic regression on the logits; 1 for calibrated predictions."""
    x, label, weight = _logits(predicted), predicted.label.astype(np.float64), predicted.weights
    if not _both(label, weight) or np.ptp(x) == 0:
        return Estimate(np.nan, np.nan)
    slopes, intercepts = calibration_lines(predicted, np.ones((1, len(label))))
    value, intercept = float(slopes[0]), float(intercepts[0])
    fitted = expit(value * x + intercept)
    terms = np.stack([x, np.ones_like(x)])
    pull = _by_patient(patients, terms * (weight * (label - fitted)))
    information = (terms * (weight * fitted * (1 - fitted))) @ terms.T
    return Estimate(value, _errors(information, pull)[0])


def _logits(predicted: BinaryPredictions) -> Reals:
    return np.asarray(logit(np.clip(predicted.probability, 1e-6, 1 - 1e-6)))


def _both(label: Reals, weight: Reals) -> bool:
    return bool(0 < weight @ label < weight.sum())


def _by_patient(patients: NDArray[np.int64], terms: Reals) -> Reals:
    """Add up ``terms`` (k, n) over the ECGs of each patient: (k, patients)."""
    _, patient = np.unique(patients, return_inverse=True)
    return np.stack([np.bincount(patient, weights=row) for row in terms])


def _errors(information: Reals, pull: Reals) -> list[float]:
    """Return standard errors by the sandwich of Huber and White, clustered by patient."""
    people = pull.shape[1]
    bread = np.linalg.pinv(information)
    covariance = bread @ (pull @ pull.T) @ bread * people / max(people - 1, 1)
    return [float(error) for error in np.sqrt(np.maximum(np.diag(covariance), 0))]
