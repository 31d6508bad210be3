"""A champion and challengers of made-up patients, and what the gate says of them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from stence.evaluation.predictions import Predictions
from stence.models import TARGET_NAMES, Threshold
from stence.training.gate import Check, Circumstances, GateConfig, Result, Verdict, judge

PATIENTS = 800
DECISIVE = TARGET_NAMES.index("stenosis_70")
THRESHOLDS = {name: Threshold(0.6, "chosen by the test") for name in TARGET_NAMES}
NOBODY = np.array([], dtype=np.int64)

Reals = NDArray[np.float64]
RISK = np.random.default_rng(0).normal(-0.4, 1.3, PATIENTS)
"""The true log odds of each test patient."""
SEX = np.where(np.random.default_rng(1).uniform(size=PATIENTS) < 0.5, "F", "M")
AGE = np.random.default_rng(2).uniform(45, 90, PATIENTS)


def predictions(logit: Reals, **changes: Any) -> Predictions:
    """A model that gives these log odds."""
    ill = np.random.default_rng(3).uniform(size=PATIENTS) < expit(RISK)
    degrees = np.zeros((PATIENTS, 16), np.float32)
    degrees[ill, 5] = 80
    labels = np.repeat(ill[:, None], 6, axis=1).astype(np.float32)
    probabilities = np.repeat(np.round(expit(logit), 6)[:, None], 6, axis=1)
    fields = {
        "probabilities": probabilities,
        "labels": labels,
        "patients": np.arange(PATIENTS),
        "degrees": degrees,
        "sex": SEX,
        "age": AGE,
    }
    return Predictions(**(fields | changes))


def blurred(noise: float, seed: int = 4) -> Reals:
    """The truth and noise, shrunk so that the probabilities stay calibrated."""
    seen = RISK + np.random.default_rng(seed).normal(0, noise, PATIENTS)
    share = 1.3**2 / (1.3**2 + noise**2)
    return -0.4 + share * (seen + 0.4)


CHAMPION = predictions(blurred(1.5))
CONFIG = GateConfig()
CASES = CHAMPION.labels[:, DECISIVE] == 1
LOWER, UPPER = "interval # to", r"interval \S+ to #\)"


def verdict(challenger: Predictions, champion: Predictions | None = CHAMPION, **changes: Any) -> Verdict:
    days = changes.pop("days_since_look", None)
    baseline = changes.pop("baseline", None)
    hindrance = changes.pop("hindrance", None)
    return judge(
        challenger,
        champion,
        THRESHOLDS,
        GateConfig(**changes),
        learned_from=NOBODY,
        baseline=baseline,
        circumstances=Circumstances(days_since_look=days, hindrance=hindrance),
    )


def first(of: Predictions, count: int) -> Predictions:
    return Predictions(*(getattr(of, name)[:count] for name in Predictions.__slots__))


def named(found: Verdict, result: Result) -> set[str]:
    return {check.name for check in found.checks if check.result is result}


def failed(found: Verdict) -> set[str]:
    assert (found.result is Result.FAILED) == bool(named(found, Result.FAILED))
    return named(found, Result.FAILED)


def check(found: Verdict, name: str) -> Check:
    return next(each for each in found.checks if each.name == name)


def number(of: Check, what: str) -> float:
    """A number of a finding, to three decimals: the one that stands in place of ``#`` in ``what``."""
    match = re.search(what.replace("#", r"([+-]?\d+\.\d+)"), of.finding)
    assert match is not None, of.finding
    return float(match[1])
