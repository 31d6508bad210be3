"""From which probability on an ECG is flagged, and the rule that chose it in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DECIMALS = 6
"""Probabilities and thresholds are compared as stored: rounded to this many decimals."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Flag where probability >= ``value``; ``rule`` is stored with every flag."""

    value: float
    rule: str


@dataclass(frozen=True, slots=True)
class Workload:
    """As many alerts as a hospital can act on."""

    alerts_per_1000: float

    def choose(self, probability: NDArray[np.float64], answer: NDArray[np.float32], on: str) -> Threshold:
        """The lowest threshold that stays within the workload on these ECGs (n,); ``on`` describes them."""
        allowed = math.floor(_exact(len(probability) * self.alerts_per_1000 / 1000))
        ranked = np.sort(np.round(probability, DECIMALS))[::-1]
        return Threshold(
            _above(ranked[allowed]) if allowed < len(ranked) else 0.0,
            f"at most {self.alerts_per_1000:g} alerts per 1,000 ECGs, chosen on {on}",
        )


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """As many of the cases as must be found."""

    at_least: float

    def choose(self, probability: NDArray[np.float64], answer: NDArray[np.float32], on: str) -> Threshold:
        """The highest threshold that still finds the share ``at_least`` of the cases (``answer`` 1)."""
        ranked = np.sort(np.round(probability[answer == 1], DECIMALS))[::-1]
        needed = math.ceil(_exact(len(ranked) * self.at_least))
        value = float(ranked[needed - 1]) if needed else 1.0
        return Threshold(value, f"sensitivity of at least {self.at_least:g}, chosen on {on}")


Rule = Workload | Sensitivity


def _exact(share: float) -> float:
    """Without the rounding error of a product: 0.07 of 100 are 7, not 7.000000000000001."""
    return round(share, 9)


def _above(value: float) -> float:
    """The next number that a rounded probability can be."""
    return round(float(value) + 10.0**-DECIMALS, DECIMALS)
