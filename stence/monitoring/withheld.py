"""Bounds below which a metric of outcomes is withheld, and the reason in words.

``tests/benchmarks/outcome_worlds.py`` shows that the bound on the overlap parts hospitals where everybody may
be referred from those where hardly anybody is referred without a flag, and how often the intervals of what is
shown hold the truth. At the bounds on numbers, in months of
500 people, the intervals still hold it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from stence.evaluation.outcome_weights import (
    NAIVE,
    WEIGHTED,
    OutcomeWeights,
    effective_sample_size,
    top_share,
)
from stence.evaluation.propensity import MIN_PROPENSITY

MIN_COUNT = 10
"""Smallest number of ECGs with the stenosis, and of ECGs without."""
MIN_EFFECTIVE = 30.0
"""Smallest effective number of patients with the stenosis, and of patients without, if they are weighted."""
MAX_CLIPPED = 0.02
"""Largest share of the scored patients whose propensity is below ``MIN_PROPENSITY``."""
MOST = 0.5


class Reason(IntEnum):
    """Why a metric is withheld; stored as a number, and written out by the view ``outcome_figures``."""

    FEW_CASES = 1
    FEW_CONTROLS = 2
    FEW_EFFECTIVE = 3
    NO_OVERLAP = 4
    LOW_RISK = 5
    SOME_KIND = 6


WORDS = {
    Reason.FEW_CASES: "too few referred patients with the stenosis",
    Reason.FEW_CONTROLS: "too few referred patients without the stenosis",
    Reason.FEW_EFFECTIVE: "too few outcomes carry the weight",
    Reason.NO_OVERLAP: "no overlap: those not flagged are hardly ever referred",
    Reason.LOW_RISK: "too few referred among the low-risk",
    Reason.SOME_KIND: "no overlap: patients of some kind are hardly ever referred",
}


@dataclass(frozen=True, slots=True)
class Overlap:
    """Propensities of the scored patients of a slice, and what the slice's weights rest on.

    ``clipped`` is the share of the patients whose propensity is below ``MIN_PROPENSITY``, ``smallest`` the
    smallest propensity.
    """

    clipped: float
    smallest: float
    unflagged_clipped: float
    clipped_are_low: bool

    @classmethod
    def of(
        cls, propensity: NDArray[np.float64], flagged: NDArray[np.bool_], risk: NDArray[np.float64]
    ) -> Overlap:
        """Overlap of patients (n,) of these propensities; ``risk`` (n,) is the probability of the target."""
        low = propensity < MIN_PROPENSITY
        rest = risk[~low].mean() if (~low).any() else np.inf
        return cls(
            float(low.mean()),
            float(propensity.min()),
            float(low[~flagged].mean()) if (~flagged).any() else 0.0,
            bool(low.any() and risk[low].mean() < rest),
        )


@dataclass(frozen=True, slots=True)
class Support:
    """What the metrics of one slice and population rest on: numbers, effective numbers, part of the top."""

    cases: int
    controls: int
    size: float
    effective_cases: float
    effective_controls: float
    top: float
    people: int

    @classmethod
    def of(cls, weights: OutcomeWeights, rows: NDArray[np.intp], label: NDArray[np.float32]) -> Support:
        """Support of the ECGs ``rows`` with their labels (m,)."""
        case = label.astype(np.float64)
        everyone = weights.of_patients(rows, np.ones(len(rows)))
        return cls(
            int(case.sum()),
            int(len(case) - case.sum()),
            effective_sample_size(everyone),
            effective_sample_size(weights.of_patients(rows, case)),
            effective_sample_size(weights.of_patients(rows, 1 - case)),
            top_share(everyone),
            len(everyone),
        )


def reason(population: str, support: Support, overlap: Overlap) -> Reason | None:
    """Reason to withhold the metrics of a slice for a ``population`` (a suffix), or None if they hold."""
    if support.cases < MIN_COUNT:
        return Reason.FEW_CASES
    if support.controls < MIN_COUNT:
        return Reason.FEW_CONTROLS
    if population == NAIVE:
        return None
    if population == WEIGHTED and overlap.clipped > MAX_CLIPPED:
        return _kind(overlap)
    if min(support.effective_cases, support.effective_controls) < MIN_EFFECTIVE:
        return Reason.FEW_EFFECTIVE
    return None


def _kind(overlap: Overlap) -> Reason:
    if overlap.unflagged_clipped > MOST:
        return Reason.NO_OVERLAP
    return Reason.LOW_RISK if overlap.clipped_are_low else Reason.SOME_KIND
