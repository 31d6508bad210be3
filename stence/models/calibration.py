"""Calibration of the tree's questions: of 10 ECGs with probability 0.3, 3 are cases, in a named population.

A line per question maps the network's logits to calibrated logits of the referred patients, whose labels are
known. ``severity_weights`` then move the probabilities to the screened population, see
``stence.evaluation.screened``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, logsumexp

from stence.domain.targets import TARGETS

SEVERITIES = 5
"""Classes of the worst stenosis: below 50, 50 to 69, 70 to 89, 90 to 99 and 100 percent."""

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibration ``slope * logit + intercept`` per question, six by default. Slopes are above 0.

    It acts on the questions' logits, before ``coherence.probabilities``. So calibrated probabilities keep the
    guarantees stated there. ``severity_weights`` (5,) multiply the probabilities of the severity classes,
    which are then normalised; None leaves the population of the labels.

    >>> Calibration(slopes=(2.0,), intercepts=(-1.0,)).apply(np.array([[0.5], [1.0]])).tolist()
    [[0.0], [1.0]]
    """

    slopes: tuple[float, ...] = (1.0,) * len(TARGETS)
    intercepts: tuple[float, ...] = (0.0,) * len(TARGETS)
    severity_weights: tuple[float, ...] | None = None

    def apply(self, logits: Reals) -> Reals:
        """Return calibrated logits of the same shape (..., questions)."""
        lined = logits * np.asarray(self.slopes) + np.asarray(self.intercepts)
        return lined if self.severity_weights is None else reweighted(lined, np.array(self.severity_weights))

    def invert(self, calibrated: Reals) -> Reals:
        """Return the logits (..., questions) that ``apply`` maps to ``calibrated``.

        >>> line = Calibration(severity_weights=(2.0, 1.0, 0.5, 0.5, 0.5))
        >>> bool(np.allclose(line.invert(line.apply(np.zeros((1, 6)))), 0))
        True
        """
        lined = calibrated
        if self.severity_weights is not None:
            lined = reweighted(calibrated, 1 / np.array(self.severity_weights))
        return (lined - np.asarray(self.intercepts)) / np.asarray(self.slopes)


def severities(logits: Reals) -> Reals:
    """Return log probabilities (..., 5) of the severity classes from logits of the tree (..., 6).

    >>> np.exp(severities(np.zeros(6))).round(4).tolist()
    [0.5, 0.25, 0.125, 0.0625, 0.0625]
    """
    degrees = logits[..., : SEVERITIES - 1]
    reached = np.cumsum(log_expit(degrees), axis=-1)
    at_least = np.concatenate([np.zeros_like(reached[..., :1]), reached], axis=-1)
    stays = np.concatenate([log_expit(-degrees), np.zeros_like(reached[..., :1])], axis=-1)
    return np.asarray(at_least + stays)


def reweighted(logits: Reals, weights: Reals) -> Reals:
    """Return logits of the tree after each severity's probability is multiplied by its weight (5,).

    The questions about arteries, asked among patients with >= 70 %, stay as they are (Saerens et al. 2002,
    Neural Comput. 14:21, for the classes of severity).

    >>> reweighted(np.zeros(6), np.array([3.0, 1.0, 1.0, 1.0, 1.0])).round(4).tolist()
    [-1.0986, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    weighted = severities(logits) + np.log(weights)
    changed = logits.copy()
    for question in range(SEVERITIES - 1):
        above = logsumexp(weighted[..., question + 1 :], axis=-1)
        changed[..., question] = above - weighted[..., question]
    return changed
