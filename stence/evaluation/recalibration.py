"""Level and slope of calibration with standard errors that hold for several ECGs a patient."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from stence.evaluation.linearised import Linear, calibration_line, clustered_covariance
from stence.evaluation.logistic import logistic_regression
from stence.evaluation.metrics import BinaryPredictions

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
    label, weight = predicted.label.astype(np.float64), predicted.weights
    if not 0 < weight @ label < weight.sum():
        return Estimate(np.nan, np.nan)
    x = logit(np.clip(predicted.probability, 1e-6, 1 - 1e-6))
    one = np.ones((len(x), 1))
    found = logistic_regression(one, label, weight, precision=np.zeros(1), offset=x)
    shift = float(found.coefficients[0])
    derivative = (label - expit(x + shift)) / found.curvature[0, 0]
    return _estimate(Linear(shift, derivative), weight, patients)


def slope(predicted: BinaryPredictions, patients: NDArray[np.int64]) -> Estimate:
    """Return the slope of the labels' logistic regression on the logits; 1 for calibrated predictions."""
    return _estimate(calibration_line(predicted, predicted.weights)[0], predicted.weights, patients)


def _estimate(found: Linear, weight: Reals, patients: NDArray[np.int64]) -> Estimate:
    """Return the value with its error by the sandwich of Huber and White, clustered by patient."""
    covariance = clustered_covariance((weight * found.derivative)[None], patients)
    return Estimate(found.value, float(np.sqrt(covariance[0, 0])))
