"""Weights of outcomes, each for a population that it describes, and how much they rest on few people.

- *naive*: the referred patients, each counts one.
- *weighted*: all scored patients. An outcome counts 1/e, the inverse propensity (Horvitz & Thompson 1952;
  Robins, Hernán & Brumback 2000).
- *overlap*: the patients whose referral was open. An outcome counts 1 - e, so that the patients of
  propensity e count e (1 - e) together: those who are surely or hardly ever referred count little (Li,
  Morgan & Zaslavsky 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stence.evaluation.follow_up import FollowUp
from stence.evaluation.linearised import Linear
from stence.evaluation.propensity import MIN_PROPENSITY, People, Propensity, propensities

NAIVE, WEIGHTED, OVERLAP = "", "_weighted", "_overlap"
"""Suffixes of a metric's name, by the population that it describes."""
POPULATIONS = {
    NAIVE: "referred patients",
    WEIGHTED: "all scored patients",
    OVERLAP: "patients whose referral was open",
}
TOP = 0.01
"""Share of the patients with an outcome whose part of all weight is told: those of the largest weights."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OutcomeWeights:
    """Weights of the m ECGs of referred patients for one population.

    ``weights`` (m,) hold each ECG's share of its patient times what the patient counts; ``shares`` (m,) are
    the shares alone. ``patients`` (m,) is the place of the ECG's patient among the s referred ones.
    ``slopes`` (s, p) are the derivatives of what a patient counts by the coefficients of the propensity, or
    None where it counts one.
    """

    weights: Floats
    shares: Floats
    patients: NDArray[np.int64]
    slopes: Floats | None
    propensity: Propensity

    def covariance(self, metrics: Sequence[Linear], rows: NDArray[np.intp]) -> Floats:
        """Covariance (k, k) of k ``metrics`` of the ECGs ``rows`` among these; patients are independent.

        It holds the uncertainty of the propensity, too: the coefficients move the weights, and what moves
        the coefficients is known of each patient (Lunceford & Davidian 2004).
        """
        influence = self._by_patient([self.weights[rows] * metric.derivative for metric in metrics], rows)
        found = influence @ influence.T
        if self.slopes is not None:
            moved = self._by_patient([self.shares[rows] * metric.derivative for metric in metrics], rows)
            pull = moved @ self.slopes
            both = influence @ self.propensity.influence @ pull.T
            found = found + both + both.T + pull @ self.propensity.covariance @ pull.T
        people = int((np.bincount(self.patients[rows]) > 0).sum())
        return found * people / (people - 1) if people > 1 else np.full_like(found, np.nan)

    def _by_patient(self, values: Sequence[Floats], rows: NDArray[np.intp]) -> Floats:
        """Sum each of k values (m,) of ECGs over each referred patient, (k, s)."""
        size = len(self.propensity.influence)
        return np.stack([np.bincount(self.patients[rows], weights=each, minlength=size) for each in values])

    def of_patients(self, rows: NDArray[np.intp], part: Floats) -> Floats:
        """Weights of the patients of the ECGs ``rows``, of which ``part`` (m,) counts; zeros left out."""
        found = np.bincount(self.patients[rows], weights=self.weights[rows] * part)
        return found[found > 0].astype(np.float64)


def outcome_weights(follow_up: FollowUp, people: People) -> dict[str, OutcomeWeights]:
    """Weights of the ECGs of referred patients, by suffix; ``people`` are those of the follow-up."""
    rows = np.flatnonzero(follow_up.referred)
    found = propensities(people)
    patients = np.cumsum(people.referred)[follow_up.patients[rows]] - 1
    e, share = found.value[people.referred], follow_up.shares[rows]
    clipped = np.maximum(e, MIN_PROPENSITY)
    by_inverse = np.where(e > MIN_PROPENSITY, -1 / clipped**2, 0.0)[:, None] * found.slopes
    each: dict[str, tuple[Floats, Floats | None]] = {
        NAIVE: (np.ones_like(e), None),
        WEIGHTED: (1 / clipped, by_inverse),
        OVERLAP: (1 - e, -found.slopes),
    }
    return {
        suffix: OutcomeWeights(share * counts[patients], share, patients, slopes, found)
        for suffix, (counts, slopes) in each.items()
    }


def inverse(propensity: Floats) -> Floats:
    """Return trimmed and stabilised inverse propensity weights (s,), of mean 1.

    >>> inverse(np.array([0.5, 0.25, 0.25])).round(2).tolist()
    [0.6, 1.2, 1.2]
    """
    weights = 1 / np.maximum(propensity, MIN_PROPENSITY)
    return weights / weights.mean()


def effective_sample_size(weights: Floats) -> float:
    """Return the effective sample size of sample ``weights`` (n,) (Kish 1965).

    >>> effective_sample_size(np.array([1.0, 1.0])), effective_sample_size(np.array([1.0, 0.0]))
    (2.0, 1.0)
    """
    return float(weights.sum() ** 2 / (weights**2).sum()) if weights.any() else 0.0


def top_share(weights: Floats) -> float:
    """Return the part of all ``weights`` (n,) that the largest hundredth of them carries, at least one.

    >>> round(top_share(np.array([3.0, 1.0])), 2)
    0.75
    """
    largest = np.sort(weights)[::-1][: max(1, round(TOP * len(weights)))]
    return float(largest.sum() / weights.sum()) if weights.any() else 0.0
