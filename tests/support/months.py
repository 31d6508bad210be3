"""Simulated months as outcome monitoring reads them, and what is true of everybody."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from stence.domain.targets import TARGET_NAMES
from stence.evaluation.follow_up import FollowUp
from stence.evaluation.judged import linear_metrics
from stence.evaluation.metrics import BinaryPredictions, calibration_errors
from stence.simulation.truth import IdealObserver
from support.simulated_months import Month, SimulatedModel, draw_month

FLAGGED = 0.08
"""Of all ECGs, on each target."""
BLUR, SLOPE, INTERCEPT = 0.5, 0.8, 0.3
"""As of a model that learned from people who were sent: too sure of itself, and too high for everybody."""


@cache
def observer() -> IdealObserver:
    """The ideal observer; it takes a second to make."""
    return IdealObserver()


def month(seed: int, people: int, model: SimulatedModel) -> Month:
    """One month; the same for the same seed."""
    return draw_month(np.random.default_rng(seed), observer(), model, people)


def simulated_model(people: int = 20_000) -> SimulatedModel:
    """A model with thresholds for its workload."""
    nobody = SimulatedModel(BLUR, SLOPE, INTERCEPT, dict.fromkeys(TARGET_NAMES, 1.1))
    thresholds = np.quantile(month(10_000, people, nobody).probabilities, 1 - FLAGGED, axis=0)
    return SimulatedModel(BLUR, SLOPE, INTERCEPT, dict(zip(TARGET_NAMES, thresholds.tolist(), strict=True)))


def as_follow_up(
    of: Month, drawn: NDArray[np.bool_] | None = None, chance: NDArray[np.float64] | None = None
) -> FollowUp:
    """What a hospital knows of it: labels of those alone who were sent. ``drawn``, ``chance`` by patient."""
    people, first = int(of.patients.max()) + 1, np.diff(of.patients, prepend=-1) > 0
    drawn = np.zeros(people, dtype=bool) if drawn is None else drawn
    chance = np.zeros(people) if chance is None else chance
    return FollowUp(
        patients=of.patients,
        probabilities=of.probabilities,
        sex=of.sex,
        age=of.age,
        device=np.full(len(of.sent), ""),
        site=of.site,
        flagged=of.flagged,
        indication=of.indication,
        labels=np.where(of.sent[:, None], of.truth, np.nan).astype(np.float32),
        referred=of.sent,
        censored=np.zeros(len(of.sent), dtype=bool),
        drawn=drawn[of.patients],
        chance=np.where(first, chance[of.patients], 0.0),
    )


def truth(of: Month, model: SimulatedModel) -> dict[str, dict[str, float]]:
    """Each target's figures were everybody examined, a patient weighing one."""
    shares = 1 / np.bincount(of.patients)[of.patients]
    found = {}
    for column, target in enumerate(TARGET_NAMES):
        settled = ~np.isnan(of.truth[:, column])
        predicted = BinaryPredictions(
            of.probabilities[settled, column], of.truth[settled, column], model.thresholds[target]
        )
        figures = {name: each.value for name, each in linear_metrics(predicted, shares[settled]).items()}
        found[target] = figures | {"ece": float(calibration_errors(predicted, shares[None, settled])[0])}
    return found
