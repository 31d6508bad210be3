"""Decision thresholds for flags, and the rules that choose them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DECIMALS = 6
"""Probabilities and thresholds are compared as stored: rounded to this many decimals."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """An ECG is flagged if its probability is >= ``value``. ``rule`` is stored with every flag.

    >>> Threshold(0.3, "sensitivity of at least 0.9, chosen on 800 ECGs").value
    0.3
    """

    value: float
    rule: str


@dataclass(frozen=True, slots=True)
class Workload:
    """Rule: at most so many alerts per 1,000 ECGs, which the hospital can act on.

    >>> scores = np.array([0.1, 0.2, 0.3, 0.9])
    >>> Workload(alerts_per_1000=250).choose(scores, np.array([0, 0, 1, 1]), "4 ECGs").value
    0.300001
    """

    alerts_per_1000: float

    def choose(
        self,
        probability: NDArray[np.float64],
        answer: NDArray[np.float32],
        on: str,
        weight: NDArray[np.float64] | None = None,
    ) -> Threshold:
        """Return the lowest threshold within the workload on these ECGs (n,), with sample ``weight`` (n,).

        ``on`` describes the ECGs.
        """
        weight = np.ones(len(probability)) if weight is None else weight
        order = np.argsort(-np.round(probability, DECIMALS), kind="stable")
        ranked, together = np.round(probability, DECIMALS)[order], np.cumsum(weight[order])
        allowed = int(np.sum(np.round(together, 9) <= _exact(weight.sum() * self.alerts_per_1000 / 1000)))
        return Threshold(
            _above(ranked[allowed]) if allowed < len(ranked) else 0.0,
            f"at most {self.alerts_per_1000:g} alerts per 1,000 ECGs, chosen on {on}",
        )


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Rule: find at least this share of the cases.

    >>> scores = np.array([0.1, 0.2, 0.3, 0.9])
    >>> Sensitivity(at_least=1.0).choose(scores, np.array([0, 0, 1, 1]), "4 ECGs").value
    0.3
    """

    at_least: float

    def choose(
        self,
        probability: NDArray[np.float64],
        answer: NDArray[np.float32],
        on: str,
        weight: NDArray[np.float64] | None = None,
    ) -> Threshold:
        """Return the highest threshold that finds the share ``at_least`` of the cases (``answer`` 1)."""
        case = answer == 1
        weight = np.ones(len(answer)) if weight is None else weight
        order = np.argsort(-np.round(probability[case], DECIMALS), kind="stable")
        ranked, together = np.round(probability, DECIMALS)[case][order], np.cumsum(weight[case][order])
        needed = _exact(weight[case].sum() * self.at_least)
        value = float(ranked[np.sum(np.round(together, 9) < needed)]) if len(ranked) else 1.0
        return Threshold(value, f"sensitivity of at least {self.at_least:g}, chosen on {on}")


Rule = Workload | Sensitivity


def _exact(share: float) -> float:
    """Remove the rounding error of a product: 0.07 of 100 is 7, not 7.000000000000001."""
    return round(share, 9)


def _above(value: float) -> float:
    """Return the next larger value of a rounded probability."""
    return round(float(value) + 10.0**-DECIMALS, DECIMALS)
