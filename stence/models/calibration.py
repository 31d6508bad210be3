"""Platt calibration per question of the tree: of 10 ECGs with probability 0.3, 3 are cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from stence.domain.targets import TARGETS


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibration ``slope * logit + intercept`` per question, six by default. Slopes are never negative.

    It acts on the questions' logits, before ``coherence.probabilities``. So calibrated probabilities keep the
    guarantees stated there.

    >>> Calibration(slopes=(2.0,), intercepts=(-1.0,)).apply(np.array([[0.5], [1.0]])).tolist()
    [[0.0], [1.0]]
    """

    slopes: tuple[float, ...] = (1.0,) * len(TARGETS)
    intercepts: tuple[float, ...] = (0.0,) * len(TARGETS)

    def apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return calibrated logits of the same shape (..., questions)."""
        return logits * np.asarray(self.slopes) + np.asarray(self.intercepts)


def fit(
    logits: NDArray[np.float64], answers: NDArray[np.float32], weights: NDArray[np.float64]
) -> Calibration:
    """Fit the calibration by maximum likelihood on held-out patients.

    ``logits`` and ``answers`` are (n, questions; NaN: not asked), the sample ``weights`` (n,). The likelihood
    of the tree is the product over its questions, so each line is fitted separately. A question without
    answers keeps its logits.

    >>> logits, answers = np.array([[-1.0], [1.0], [1.0]]), np.array([[0], [1], [0]], np.float32)
    >>> np.round(fit(logits, answers, np.ones(3)).slopes, 2).tolist()
    [0.47]
    """
    lines = [_fit_line(logits[:, column], answers[:, column], weights) for column in range(logits.shape[1])]
    slopes, intercepts = zip(*lines, strict=True)
    return Calibration(slopes, intercepts)


def _fit_line(
    logit: NDArray[np.float64], answer: NDArray[np.float32], weight: NDArray[np.float64]
) -> tuple[float, float]:
    asked = ~np.isnan(answer)
    if not asked.any():
        return 1.0, 0.0
    x, w = logit[asked], weight[asked]
    t = _platt_labels(answer[asked].astype(np.float64), w)

    def loss(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = line[0] * x + line[1]
        pull = w * (expit(z) - t)
        return float(w @ (np.logaddexp(0, z) - t * z)), np.array([pull @ x, pull.sum()])

    best = minimize(loss, x0=(1.0, 0.0), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)])
    return float(best.x[0]), float(best.x[1])


def _platt_labels(answer: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Platt's (1999) labels, (N+ + 1)/(N+ + 2) and 1/(N- + 2). Separable classes give finite lines."""
    yes = float(weight @ answer)
    no = float(weight.sum()) - yes
    return np.where(answer == 1, (yes + 1) / (yes + 2), 1 / (no + 2))
