"""Referral worlds: the same patients and scores, and who of them is sent to the catheter laboratory.

A population is drawn once. A month is drawn from it with replacement, so that the population itself, with
everybody examined, is the truth of every month.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from stence.domain.targets import TARGET_NAMES
from stence.evaluation.follow_up import FollowUp
from stence.evaluation.judged import linear_metrics
from stence.evaluation.metrics import BinaryPredictions
from stence.simulation.referral import referral_after
from support.months import as_follow_up, month, simulated_model
from support.simulated_months import Month, SimulatedModel

GENEROUS, FLAGS, SCORE, VERIFIED = "generous", "flags-only", "score-only", "flags-only, 5 % verified"
WORLDS = (GENEROUS, FLAGS, SCORE, VERIFIED)
SENT_FOR_FLAG, RARER = 0.9, 3.0
"""Flags-only: chance of referral of a flag, and how much rarer symptoms refer, in log-odds."""
VERIFIED_SHARE = 0.05

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Population:
    """Patients with their ECGs in one month, and the model that scored them."""

    month: Month
    model: SimulatedModel

    @classmethod
    def draw(cls, people: int, seed: int = 20_000) -> Population:
        """Draw ``people`` patients of the practice hospital."""
        model = simulated_model(5_000)
        return cls(month(seed, people, model), model)

    def sample(self, rng: np.random.Generator, people: int) -> Month:
        """Draw ``people`` patients with replacement, each with all ECGs."""
        starts = np.flatnonzero(np.diff(self.month.patients, prepend=-1))
        lengths = np.diff(np.append(starts, len(self.month.patients)))
        drawn = rng.integers(len(starts), size=people)
        patients = np.repeat(np.arange(people), lengths[drawn])
        first = np.cumsum(lengths[drawn]) - lengths[drawn]
        rows = (starts[drawn] - first)[patients] + np.arange(len(patients))
        each = {field.name: getattr(self.month, field.name)[rows] for field in fields(Month)}
        return Month(**each | {"patients": patients})

    def truth(self, world: str, target: str, suffix: str) -> dict[str, float]:
        """Metrics of everybody, or of those whose referral is open (suffix ``_overlap``)."""
        of, column = self.month, TARGET_NAMES.index(target)
        settled = ~np.isnan(of.truth[:, column])
        predicted = BinaryPredictions(
            of.probabilities[settled, column], of.truth[settled, column], self.model.thresholds[target]
        )
        chance = report_chance(of, world)
        counts = chance * (1 - chance) if suffix == "_overlap" else np.ones_like(chance)
        weights = (counts / np.bincount(of.patients))[of.patients]
        return {name: each.value for name, each in linear_metrics(predicted, weights[settled]).items()}


def referral_chance(of: Month, world: str) -> Floats:
    """Probability of each patient to be sent by symptoms, flags or scores."""
    if world == SCORE:
        highest = np.zeros(of.patients.max() + 1)
        np.maximum.at(highest, of.patients, of.probabilities[:, TARGET_NAMES.index("stenosis_70")])
        return np.asarray(expit(-2.2 + 2.5 * logit(highest)))
    nobody = np.zeros_like(of.flagged)
    chance = referral_after(of.indication, of.flagged, of.age, of.sex)
    if world != GENEROUS:
        symptoms = expit(logit(referral_after(of.indication, nobody, of.age, of.sex)) - RARER)
        chance = 1 - (1 - symptoms) * (1 - SENT_FOR_FLAG * of.flagged)
    return -np.expm1(np.bincount(of.patients, weights=np.log1p(-chance)))


def draw_chance(of: Month, world: str) -> Floats:
    """Probability of each patient to come into the verification sample: nobody with a flag does."""
    flagged = np.bincount(of.patients, weights=of.flagged) > 0
    return np.where(flagged, 0.0, VERIFIED_SHARE if world == VERIFIED else 0.0)


def report_chance(of: Month, world: str) -> Floats:
    """Probability of each patient to have a report, for whatever reason."""
    return 1 - (1 - referral_chance(of, world)) * (1 - draw_chance(of, world))


def observed(rng: np.random.Generator, of: Month, world: str) -> FollowUp:
    """What the hospital knows of a month in a world. Everybody in the verification sample is examined."""
    chance = draw_chance(of, world)
    drawn = rng.random(len(chance)) < chance
    sent = drawn | (rng.random(len(chance)) < referral_chance(of, world))
    return as_follow_up(replace(of, sent=sent[of.patients]), drawn, chance)
