"""Fit a calibration on few patients: lines that share a temperature, and are pulled towards no change.

Six free Platt lines on a hundred patients are noise: they add .03 to .05 to every probability, and a rare
question's slope may become 0. Here a question's slope is ``exp(temperature + own part)``. The temperature,
the own parts and the intercepts have normal priors around 0 (partial pooling). The data choose how wide the
priors are: every width counts by its evidence (empirical Bayes with Laplace's approximation, MacKay 1992,
Neural Comput. 4:415). So logits that are right stay as they are, and those that are clearly wrong are moved.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from stence.models import Calibration

MIN_ANSWERS = 10
"""Minimum patients with yes, and with no, for a line of its own. Other questions get the temperature only."""
TEMPERATURE_WIDTHS = (0.05, 0.2, 0.6)
INTERCEPT_WIDTHS = (0.03, 0.1, 0.3, 1.0)
OWN_SHARE = 0.25
"""Width of a question's own log slope, as a share of the temperature's width."""

Reals = NDArray[np.float64]


class Asked(NamedTuple):
    """A question's logits, answers (0 or 1) and sample weights, (m,) each, and if it gets its own line."""

    logit: Reals
    answer: Reals
    weight: Reals
    own: bool


class _Fit(NamedTuple):
    parameters: Reals
    """Temperature, then the own log slopes, then the intercepts: (1 + 2 questions,)."""
    evidence: float


def fit(logits: Reals, answers: NDArray[np.float32], weights: Reals) -> Calibration:
    """Fit the lines on held-out patients.

    ``logits`` and ``answers`` are (n, questions; NaN: not asked); the sample ``weights`` (n,) of a patient's
    ECGs add up to the patient's weight, so the priors meet patients and not ECGs. A question without answers
    keeps its logits.

    >>> rng = np.random.default_rng(0)
    >>> logits = rng.normal(size=(100, 1))
    >>> answers = (rng.random((100, 1)) < expit(logits)).astype(np.float32)
    >>> found = fit(logits, answers, np.ones(100))
    >>> bool(abs(found.slopes[0] - 1) < 0.3 and abs(found.intercepts[0]) < 0.2)
    True
    """
    asked = [_asked(logits[:, i], answers[:, i], weights) for i in range(logits.shape[1])]
    fits = [_fit(asked, *widths) for widths in product(TEMPERATURE_WIDTHS, INTERCEPT_WIDTHS)]
    evidence = np.array([found.evidence for found in fits])
    share = np.exp(evidence - evidence.max())
    parameters = share @ np.array([found.parameters for found in fits]) / share.sum()
    own, intercepts = np.split(parameters[1:], 2)
    answered = np.array([len(question.answer) > 0 for question in asked])
    slopes = np.where(answered, np.exp(parameters[0] + own), 1.0)
    return Calibration(tuple(slopes.tolist()), tuple(np.where(answered, intercepts, 0.0).tolist()))


def without_own_line(answers: NDArray[np.float32], weights: Reals) -> list[int]:
    """Return the questions with too few patients of either answer for a line of their own.

    >>> without_own_line(np.array([[1, 0]] * 30 + [[0, 1]] * 9 + [[0, 0]] * 3, np.float32), np.ones(42))
    [1]
    """
    return [i for i in range(answers.shape[1]) if not _asked(weights, answers[:, i], weights).own]


def _asked(logit: Reals, answer: NDArray[np.float32], weight: Reals) -> Asked:
    known = ~np.isnan(answer)
    given, counts = answer[known].astype(np.float64), weight[known]
    fewest = min(float(counts @ given), float(counts @ (1 - given)))
    return Asked(logit[known].astype(np.float64), given, counts, round(fewest, 6) >= MIN_ANSWERS)


def _fit(asked: list[Asked], temperature: float, intercept: float) -> _Fit:
    """Return the most probable parameters under priors of these widths, and the log evidence."""
    free = np.repeat([[question.own for question in asked]], 2, axis=0)
    widths = np.outer([temperature * OWN_SHARE, intercept], np.ones(len(asked)))
    precision = np.concatenate([[temperature**-2], (np.where(free, widths, 1e-3) ** -2).ravel()])

    def loss(parameters: Reals) -> tuple[float, Reals]:
        value, slope = 0.5 * float(precision @ parameters**2), precision * parameters
        for i, question in enumerate(asked):
            scaled, z = _line(question, parameters, i)
            value += float(question.weight @ (np.logaddexp(0, z) - question.answer * z))
            pull = question.weight * (expit(z) - question.answer)
            slope[0] += pull @ scaled
            slope[1 + i] += pull @ scaled
            slope[1 + len(asked) + i] += pull.sum()
        return value, slope

    best = minimize(loss, np.zeros(1 + 2 * len(asked)), jac=True, method="L-BFGS-B")
    sharpness = np.linalg.slogdet(_curvature(asked, best.x) + np.diag(precision))[1]
    evidence = -float(best.fun) + 0.5 * float(np.log(precision).sum() - sharpness)
    return _Fit(best.x, evidence)


def _line(question: Asked, parameters: Reals, i: int) -> tuple[Reals, Reals]:
    """Return the scaled logits, and the calibrated logits, of question ``i``."""
    own, intercepts = np.split(parameters[1:], 2)
    scaled = np.exp(parameters[0] + own[i]) * question.logit
    return scaled, scaled + intercepts[i]


def _curvature(asked: list[Asked], parameters: Reals) -> Reals:
    """Return the Gauss-Newton approximation of the likelihood's second derivative."""
    size = len(parameters)
    total = np.zeros((size, size))
    for i, question in enumerate(asked):
        scaled, z = _line(question, parameters, i)
        slope = np.zeros((len(z), size))
        slope[:, 0] = slope[:, 1 + i] = scaled
        slope[:, 1 + len(asked) + i] = 1
        chance = expit(z)
        total += (slope * (question.weight * chance * (1 - chance))[:, None]).T @ slope
    return total
