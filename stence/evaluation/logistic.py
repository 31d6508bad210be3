"""Penalised logistic regression with sample weights, by Newton's method."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

STEPS = 50
"""Maximum number of Newton steps; some ten suffice."""
HALVINGS = 20
"""Maximum number of times that a step is halved because it went too far."""
TOLERANCE = 1e-9
"""A step in which no coefficient moves by more is the last."""
BLOCK = 50_000
"""Rows that are multiplied at once."""

Floats = NDArray[np.float64]


class LogisticFit(NamedTuple):
    """Coefficients (k,), and the curvature (k, k) of the penalised log likelihood there."""

    coefficients: Floats
    curvature: Floats


def logistic_regression(
    x: Floats, y: Floats, weights: Floats, precision: Floats, offset: Floats | None = None
) -> LogisticFit:
    """Return the maximum a posteriori fit of a logistic regression.

    ``x`` (n, k), ``y`` (n,) 0 or 1, ``weights`` (n,), ``offset`` (n,) of the logit, by default 0; the priors
    are N(0, 1 / ``precision``) with (k,). Raises LinAlgError where neither data nor priors fix a coefficient.

    >>> x, y = np.ones((4, 1)), np.array([1.0, 1.0, 1.0, 0.0])
    >>> np.round(logistic_regression(x, y, np.ones(4), np.zeros(1)).coefficients, 4).tolist()
    [1.0986]
    """
    task = _Task(x, y, weights, precision, np.zeros(len(x)) if offset is None else offset)
    coefficients = np.zeros(x.shape[1])
    for _ in range(STEPS):
        slope, curvature = task.derivatives(coefficients)
        step = np.asarray(np.linalg.solve(curvature, slope), dtype=np.float64)
        if np.abs(step).max() <= TOLERANCE:
            break
        coefficients = task.descend(coefficients, step)
    return LogisticFit(coefficients, curvature)


def blocks(count: int) -> list[slice]:
    """Return the rows 0 to ``count`` in blocks.

    >>> blocks(60_000)
    [slice(0, 50000, None), slice(50000, 100000, None)]
    """
    return [slice(start, start + BLOCK) for start in range(0, count, BLOCK)]


class _Task(NamedTuple):
    """Data, weights and priors of a regression."""

    x: Floats
    y: Floats
    weights: Floats
    precision: Floats
    offset: Floats

    def loss(self, coefficients: Floats) -> float:
        """Return the negative penalised log likelihood."""
        z = self.x @ coefficients + self.offset
        penalty = 0.5 * self.precision @ coefficients**2
        return float(self.weights @ (np.logaddexp(0, z) - self.y * z) + penalty)

    def derivatives(self, coefficients: Floats) -> tuple[Floats, Floats]:
        """Return the slope (k,) and the negative curvature (k, k) of the penalised log likelihood."""
        slope, curvature = -self.precision * coefficients, np.diag(self.precision)
        for rows in blocks(len(self.x)):
            x, weights = self.x[rows], self.weights[rows]
            fitted = expit(x @ coefficients + self.offset[rows])
            slope = slope + (weights * (self.y[rows] - fitted)) @ x
            curvature = curvature + (x * (weights * fitted * (1 - fitted))[:, None]).T @ x
        return slope, curvature

    def descend(self, coefficients: Floats, step: Floats) -> Floats:
        """Return the coefficients after the step, halved until the loss is no larger, but for rounding."""
        bound = self.loss(coefficients) * (1 + 1e-9) + 1e-9
        for _ in range(HALVINGS):
            if self.loss(coefficients + step) <= bound:
                break
            step = step / 2
        return coefficients + step
