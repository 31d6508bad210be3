"""How sure a score is: an interval of each probability, and how unlike the training ECGs an ECG is.

Both work on an ECG's coordinates: the random projection of its embedding, in standard deviations of the
training ECGs. The interval spans the draws of a model's own error that its held-out patients leave possible
(``stence.evaluation.certainty``). It is about the share of cases among people with such an ECG, age and sex,
not about the outcome of one of them. The novelty is a percentile of the coordinates' length (Mahalanobis
distance).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from stence.domain.random_projection import PROJECTION_SIZE
from stence.domain.targets import TARGETS
from stence.domain.thresholds import DECIMALS
from stence.models.calibration import SEVERITIES, Calibration

TAIL = 0.025
"""Share beyond either end of an interval."""
UNLIKE_PERCENT = 99.0
"""ECGs from this novelty on are said to be unlike the training ECGs: 1 % of sound held-out ECGs."""
TENSORS = ("mean", "whitening", "distances", "offsets")

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Certainty:
    """What a model knows about its own scores.

    ``mean`` (32,) and ``whitening`` (32, 32) turn a projection into coordinates. ``distances`` (m,) rise: the
    quantiles of held-out ECGs, evenly spaced from 0 to 100 %; none: not estimated. ``offsets`` (draws, 6, 32)
    times the coordinates are the draws of the error of an ECG's logits, each with a calibration of ``draws``;
    none: not estimated.

    >>> offsets = np.zeros((2, 6, 32))
    >>> draws = (Calibration(severity_weights=(1.0,) * 5), Calibration(severity_weights=(2.0, *(1.0,) * 4)))
    >>> sure = Certainty(np.zeros(32), np.eye(32), np.array([0.0, 4.0]), offsets, draws)
    >>> lower, upper = sure.interval(np.zeros((1, 6)), np.zeros((1, 32)))
    >>> round(lower[0, 0].item(), 4), round(upper[0, 0].item(), 4)
    (0.3333, 0.5)
    >>> sure.novelty(np.full((1, 32), 0.5)).tolist()
    [70.7]
    """

    mean: Reals
    whitening: Reals
    distances: Reals
    offsets: Reals
    draws: tuple[Calibration, ...] = ()

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], draws: Sequence[Calibration]) -> Self:
        """Build from what ``tensors`` returned. Raises ValueError unless each calibration has its offset."""
        mean, whitening, distances, offsets = (tensors[name].double().numpy() for name in TENSORS)
        if len(offsets) and offsets.shape != (len(draws), len(TARGETS), PROJECTION_SIZE):
            raise ValueError(f"offsets {offsets.shape} for {len(draws)} draws of the calibration")
        return cls(mean, whitening, distances, offsets, tuple(draws))

    def tensors(self) -> dict[str, Tensor]:
        """Return all but the draws of the calibration, as float32."""
        return {name: torch.from_numpy(getattr(self, name).astype(np.float32)) for name in TENSORS}

    def coordinates(self, projections: NDArray[np.float32]) -> Reals:
        """Return the coordinates (n, 32) of projections (n, 32), each independent of the others."""
        centred = projections.astype(np.float64) - self.mean
        return np.array([self.whitening @ row for row in centred]).reshape(centred.shape)

    def interval(self, logits: Reals, coordinates: Reals) -> tuple[Reals, Reals]:
        """Return the ends (n, 6) of the 95 % intervals of the probabilities; NaN if they are not estimated.

        ``logits`` (n, 6) are those that the calibration takes. Ends are rounded as the probabilities.
        """
        if not len(self.offsets):
            nothing = np.full((len(logits), len(TARGETS)), np.nan)
            return nothing, nothing
        ordered = np.sort(self.drawn(logits, coordinates), axis=-1)
        last = ordered.shape[-1] - 1
        outside = max(int(TAIL * (last + 2)) - 1, 0)  # of n draws and the truth, so many lie in each tail
        return np.round(ordered[..., outside], DECIMALS), np.round(ordered[..., last - outside], DECIMALS)

    def drawn(self, logits: Reals, coordinates: Reals) -> Reals:
        """Return the probabilities (n, 6, draws) under each draw, as its calibration gives them."""
        slopes = np.array([draw.slopes for draw in self.draws]).T
        intercepts = np.array([draw.intercepts for draw in self.draws]).T
        weights = np.array([draw.severity_weights for draw in self.draws]).T
        flat = self.offsets.transpose(1, 0, 2).reshape(-1, PROJECTION_SIZE)
        errors = np.array([flat @ row for row in coordinates]).reshape(len(logits), *slopes.shape)
        yes = expit((logits[..., None] + errors) * slopes + intercepts)
        return _weighted(yes, weights)

    def novelty(self, coordinates: Reals) -> Reals:
        """Return the percentage of held-out ECGs (n,) nearer to the training ECGs; NaN if not estimated."""
        if not len(self.distances):
            return np.full(len(coordinates), np.nan)
        percent = np.linspace(0, 100, len(self.distances))
        return np.round(np.interp(distances(coordinates), self.distances, percent), 1)


def _weighted(yes: Reals, weights: Reals) -> Reals:
    """Return the targets' probabilities (n, 6, draws) from answers ``yes`` (n, 6, draws) of the tree.

    It is ``reweighted`` and ``coherence.probabilities`` on probabilities in place of logits, which is many
    times as fast; ``weights`` (5, draws) are those of the severities.
    """
    found = np.empty_like(yes)
    reached = [np.ones_like(yes[:, 0])]
    for degree in range(SEVERITIES - 1):
        reached.append(reached[-1] * yes[:, degree])
    at_least = weights[-1] * reached[-1]
    for degree in reversed(range(SEVERITIES - 1)):
        found[:, degree] = at_least
        at_least = at_least + weights[degree] * (reached[degree] - reached[degree + 1])
    found[:, : SEVERITIES - 1] /= at_least[:, None]
    over_70, right = found[:, 1], yes[:, 4]
    found[:, 4] = over_70 * right
    found[:, 5] = over_70 * (1 - right * (1 - yes[:, 5]))
    return found


def distances(coordinates: Reals) -> Reals:
    """Return the lengths (n,) of coordinates (n, 32)."""
    return np.sqrt((coordinates**2).sum(axis=1))
