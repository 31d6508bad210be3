"""Penalised logistic regression with sample weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Floats = NDArray[np.float64]


def logistic_regression(x: Floats, y: Floats, weights: Floats, precision: Floats) -> Floats:
    """Return the maximum a posteriori coefficients (k,) of a logistic regression.

    ``x`` (n, k), ``y`` (n,) 0 or 1, ``weights`` (n,); the priors are N(0, 1 / ``precision``) with (k,).

    >>> x, y = np.ones((4, 1)), np.array([1.0, 1.0, 1.0, 0.0])
    >>> np.round(logistic_regression(x, y, np.ones(4), np.zeros(1)), 4).tolist()
    [1.0986]
    """

    def loss(coefficients: Floats) -> tuple[float, Floats]:
        z = x @ coefficients
        value = weights @ (np.logaddexp(0, z) - y * z) + 0.5 * precision @ coefficients**2
        return float(value), (weights * (expit(z) - y)) @ x + precision * coefficients

    return np.asarray(minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x)
