"""Simulate the hospital's patients: age, sex, risk factors, coronary disease, and referral to angiography."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from stence.simulation.coronaries import Trees, draw_trees, ischaemia

RISK_FACTORS = ("hypertension", "diabetes", "smoking", "hyperlipidaemia")
_BASE_LOGIT = np.array([-0.1, -1.5, -1.3, -0.5])
_LOGIT_PER_RISK = np.array([0.5, 0.8, 0.7, 0.8])
_LOGIT_PER_DECADE = np.array([0.4, 0.2, -0.4, 0.1])
_LOGIT_PER_THICKENING = np.array([1.2, 0.0, 0.0, 0.0])


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient; ``risk`` is the inherited and acquired risk beyond age and sex, N(0, 1)."""

    number: int
    age: int
    sex: str
    risk: float
    thickening: float
    risk_factors: tuple[bool, ...]
    trees: Trees
    sent: bool

    @property
    def subject_id(self) -> int:
        """The patient's identifier, see ``subject_id``."""
        return subject_id(self.number)

    @property
    def hypertrophy(self) -> float:
        """Left-ventricular hypertrophy from 0 (none) to about 2 (marked)."""
        return max(self.thickening, 0.0)

    @property
    def degrees(self) -> NDArray[np.int64]:
        """Narrowing of the segments 1-16 in percent, (16,)."""
        return self.trees.degrees[0]


def subject_id(number: int) -> int:
    """Return eight digits that do not reveal the order of admission (a bijection modulo a prime)."""
    return 10_000_000 + (number + 1) * 7_368_787 % 9_999_991


def draw_patient(rng: np.random.Generator, number: int, burden: float = 0.0) -> Patient:
    """Draw one patient of the hospital's population; ``burden`` is added to everybody's atherosclerosis."""
    age = int(np.clip(rng.normal(63, 13), 22, 94))
    sex = "M" if rng.random() < 0.54 else "F"
    risk = float(rng.standard_normal())
    thickening = float(rng.normal(-1.0 + 0.015 * (age - 63), 0.8))
    logits = (
        _BASE_LOGIT
        + _LOGIT_PER_RISK * risk
        + _LOGIT_PER_DECADE * (age - 63) / 10
        + _LOGIT_PER_THICKENING * thickening
    )
    risk_factors = tuple(bool(yes) for yes in rng.random(len(RISK_FACTORS)) < expit(logits))
    trees = draw_trees(rng, np.array([expected_burden(age, sex) + risk + burden]))
    sent = bool(rng.random() < referral(ischaemia(trees.degrees), np.array([risk]))[0])
    return Patient(
        number=number,
        age=age,
        sex=sex,
        risk=risk,
        thickening=thickening,
        risk_factors=risk_factors,
        trees=trees,
        sent=sent,
    )


def expected_burden(age: float, sex: str) -> float:
    """Return the mean atherosclerotic burden at an age and sex; 0.03 per year, higher in men."""
    return 0.03 * (age - 63) - 1.15 + (0.3 if sex == "M" else -0.3)


def referral(shortage: NDArray[np.float64], risk: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the probability (n,) of angiography; it rises with ischaemia (n, 3) and with risk (n,)."""
    return expit(-1.15 + 3.2 * shortage.max(axis=1) + 0.35 * risk)
