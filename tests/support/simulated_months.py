"""Simulate months of a hospital without waveforms: patients, predictions, referrals and the truth.

Patients, disease and its visible signs are those of the practice hospital. A model is the ideal observer
(``truth``) with noise and possibly miscalibrated. So thousands of patients take one second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from stence.domain.targets import TARGET_NAMES, labels
from stence.simulation.cardiac_dipole import ISCHAEMIA_SPREAD, SCAR_SPREAD, VISIT_SHARE
from stence.simulation.coronaries import draw_trees, ischaemia
from stence.simulation.devices import draw_site
from stence.simulation.patients import expected_burden
from stence.simulation.referral import indication, referral_after
from stence.simulation.truth import IdealObserver

ECGS_OF_A_PERSON = (0.75, 0.2, 0.05)
"""Shares of patients with one, two and three ECGs in a month."""


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """A model with log-odds ``slope * (observer's + noise) + intercept``; noise is N(0, blur²) per ECG.

    ``thresholds`` are the minimum probabilities of a flag, by target.
    """

    blur: float
    slope: float
    intercept: float
    thresholds: Mapping[str, float]

    def probabilities(self, rng: np.random.Generator, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute probabilities from an observer's ``log_odds`` (m, 6); an ECG's targets share one noise."""
        noise = self.blur * rng.standard_normal((len(log_odds), 1))
        return expit(self.slope * (log_odds + noise) + self.intercept)

    def flags(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return True for each ECG (m,) with a flag on any target."""
        return np.asarray((probabilities >= [self.thresholds[name] for name in TARGET_NAMES]).any(axis=1))


@dataclass(frozen=True, slots=True)
class Month:
    """ECGs (m,) sorted by patient; patients are numbered from 0 on.

    ``log_odds`` (m, 6) are the ideal observer's, ``probabilities`` (m, 6) the model's. ``truth`` (m, 6) is
    known for everybody: 1, 0, or NaN if no report would decide it. ``sent`` (m,) is True for referred
    patients, who have a report.
    """

    patients: NDArray[np.int64]
    age: NDArray[np.float64]
    sex: NDArray[np.str_]
    site: NDArray[np.str_]
    indication: NDArray[np.str_]
    log_odds: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    flagged: NDArray[np.bool_]
    truth: NDArray[np.float32]
    sent: NDArray[np.bool_]


def draw_month(
    rng: np.random.Generator, observer: IdealObserver, model: SimulatedModel, people: int
) -> Month:
    """Simulate ``people`` patients with one to three ECGs each; the referral follows the last ECG."""
    age = np.clip(rng.normal(63, 13, people), 22, 94).round()
    sex = np.where(rng.random(people) < 0.54, "M", "F")
    expected = np.array([expected_burden(a, s) for a, s in zip(age, sex, strict=True)])
    trees = draw_trees(rng, expected + rng.standard_normal(people))
    shortage = ischaemia(trees.degrees)
    disease = np.hstack([shortage, trees.scar])
    spread = np.repeat([ISCHAEMIA_SPREAD, SCAR_SPREAD], 3)
    lasting = np.sqrt(1 - VISIT_SHARE) * rng.standard_normal((people, 6))
    who = np.repeat(np.arange(people), rng.choice([1, 2, 3], size=people, p=ECGS_OF_A_PERSON))
    passing = np.sqrt(VISIT_SHARE) * rng.standard_normal((len(who), 6))
    log_odds = observer.population_log_odds(expected[who], disease[who] + spread * (lasting[who] + passing))
    probabilities = model.probabilities(rng, log_odds)
    reasons, flagged = indication(rng, shortage[who], age[who]), model.flags(probabilities)
    chance = referral_after(reasons, flagged, age[who], sex[who])
    spared = np.exp(np.bincount(who, weights=np.log1p(-chance), minlength=people))
    return Month(
        patients=who,
        age=age[who],
        sex=sex[who],
        site=np.array([draw_site(rng) for _ in range(people)])[who],
        indication=reasons,
        log_odds=log_odds,
        probabilities=probabilities,
        flagged=flagged,
        truth=np.array([labels(degrees) for degrees in trees.degrees.tolist()])[who],
        sent=(rng.random(people) >= spared)[who],
    )
