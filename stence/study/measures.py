"""AUROC per patient of several seeds' models, and of paired differences, with the variance of both sources.

Every patient weighs one, shared equally by the patient's ECGs. The variance of a mean over seeds is the sum
of two parts: the bootstrap variance over patients, and the variance between seeds divided by their number.
The share of patients in the variance between seeds counts in both, which errs on the safe side. Degrees of
freedom are Satterthwaite's (1946), so that three seeds count as few.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from stence.evaluation.bootstrap import resamples
from stence.evaluation.metrics import ratio
from stence.fitting.tasks import shares

Logits = NDArray[np.float64]
Areas = NDArray[np.float64]
"""AUROC of the sample, then of each bootstrap resample: (1 + resamples,)."""
MIN_PATIENTS = 2
"""Fewest patients with, and without, the stenosis."""


@dataclass(frozen=True)
class Estimate:
    """A metric and its interval; None if it is not defined."""

    value: float | None
    lower: float | None
    upper: float | None

    def text(self, sign: str = "") -> str:
        """Format the estimate for a table."""
        if self.value is None or self.lower is None or self.upper is None:
            return "–"
        form = f"{sign}.3f"
        return f"{self.value:{form}} ({self.lower:{form}} to {self.upper:{form}})"


@dataclass(frozen=True)
class Measured:
    """Mean over seeds of an AUROC or a difference: value, standard error, degrees of freedom."""

    value: float
    error: float
    freedom: float

    def estimate(self, level: float = 0.95, within: tuple[float, float] = (-1, 1)) -> Estimate:
        """Return the value with its t interval of this level, cut to what is possible."""
        half = self.error * float(stats.t.ppf((1 + level) / 2, self.freedom))
        lower, upper = max(within[0], self.value - half), min(within[1], self.value + half)
        return Estimate(round(self.value, 4), round(lower, 4), round(upper, 4))

    @property
    def p(self) -> float:
        """Two-sided p-value of the hypothesis that the truth is 0; 1 without any variation."""
        if not self.error:
            return 1.0
        return float(2 * stats.t.sf(abs(self.value) / self.error, self.freedom))


class Comparison:
    """Compares models on the ECGs of one endpoint: ``label`` (n,), NaN if unknown, ``patients`` (n,)."""

    def __init__(self, label: NDArray[np.float32], patients: NDArray[np.int64], count: int) -> None:
        self._asked = np.flatnonzero(~np.isnan(label))
        self._label = label[self._asked].astype(np.float64)
        self._patients, self._count = patients[self._asked], count

    @cached_property
    def patients(self) -> int:
        """Patients with a known label."""
        return len(np.unique(self._patients))

    @cached_property
    def cases(self) -> int:
        """Patients with the stenosis."""
        return len(np.unique(self._patients[self._label == 1]))

    def areas(self, models: Sequence[Logits]) -> list[Areas]:
        """Compute the AUROC of each model, given its logits (n,), in the sample and in every resample."""
        everyone = np.ones((1, len(self._label)))
        share = shares(self._patients, np.ones(len(self._label), dtype=bool))
        found: list[list[Areas]] = [[] for _ in models]
        for counts in (everyone, *resamples(self._patients, self._count)):
            weights = counts * share
            for own, logits in zip(found, models, strict=True):
                own.append(weighted_areas(logits[self._asked], self._label, weights))
        return [np.concatenate(own) for own in found]

    def measure(self, by_seed: Sequence[Areas]) -> Measured | None:
        """Measure the mean over seeds of AUROCs or differences; None if it is not defined.

        With one seed, the error holds the patients' variation alone.
        """
        controls = len(np.unique(self._patients[self._label == 0]))
        if not by_seed or min(self.cases, controls) < MIN_PATIENTS:
            return None
        areas = np.stack(by_seed)
        over_patients = float(np.nanvar(areas[:, 1:].mean(axis=0), ddof=1))
        of_seeds, seeds = areas[:, 0], len(areas)
        over_seeds = float(np.var(of_seeds, ddof=1)) / seeds if seeds > 1 else 0.0
        parts = ((over_patients, min(self.cases, controls) - 1), (over_seeds, max(seeds - 1, 1)))
        total = over_patients + over_seeds
        shared = sum(part**2 / freedom for part, freedom in parts)
        freedom = total**2 / shared if shared else math.inf
        return Measured(float(of_seeds.mean()), math.sqrt(total), freedom)


def weighted_areas(score: Logits, label: NDArray[np.float64], weights: NDArray[np.float64]) -> Areas:
    """Return the AUROC (r,) for each row of sample ``weights`` (r, n); NaN without cases or controls.

    >>> weights = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 3.0]])
    >>> weighted_areas(np.array([2.0, 1.0, 3.0]), np.array([1.0, 0.0, 0.0]), weights).tolist()
    [0.5, 0.25]
    """
    cases, controls = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    controls = controls[np.argsort(score[controls], kind="stable")]
    below = np.zeros((len(weights), len(controls) + 1))
    np.cumsum(weights[:, controls], axis=1, out=below[:, 1:])
    lower, upper = (np.searchsorted(score[controls], score[cases], side) for side in ("left", "right"))
    of_cases = weights[:, cases]
    won = np.einsum("rc,rc->r", of_cases, below[:, lower] + below[:, upper]) / 2
    return ratio(won, of_cases.sum(axis=1) * below[:, -1])
