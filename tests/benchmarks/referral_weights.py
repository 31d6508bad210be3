"""Models that learn from whoever was sent, month after month: as they come, and weighted by who is sent.

A model flags, flags send people to the catheter laboratory, and the next model learns from those. Two chains
of models, naive and weighted, start from the same champion. Prints how calibrated each generation is on the
whole population (20,000 other people), the mean of ten chains of 6,000 people a month.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

sys.path.insert(0, str(Path(__file__).parents[1]))  # for support

from stence.domain.targets import TARGET_NAMES
from stence.evaluation.referral_weights import inverse_propensities
from support.months import BLUR, FLAGGED, as_follow_up, month, observer, simulated_model, truth
from support.simulated_months import Month, SimulatedModel, draw_month

TARGETS = ("stenosis_50", "stenosis_70", "stenosis_90")
PENALTY = 1.0


@dataclass(frozen=True, slots=True)
class Learned(SimulatedModel):
    """A logistic regression on what the model sees: coefficients (7, 6), the first row the intercepts."""

    coefficients: NDArray[np.float64]

    def probabilities(self, rng: np.random.Generator, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        seen = log_odds + self.blur * rng.standard_normal((len(log_odds), 1))
        return expit(design(seen) @ self.coefficients)


def design(seen: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.hstack([np.ones((len(seen), 1)), np.clip(seen, -8, 8)])


def learn(drawn: Month, seen: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients from the ECGs of those who were sent."""
    x = design(seen)
    columns = []
    for answer in np.where(drawn.sent[:, None], drawn.truth, np.nan).T:
        known = ~np.isnan(answer)
        columns.append(_regress(x[known], answer[known], weights[known]))
    return np.stack(columns, axis=1)


def _regress(x: NDArray[np.float64], y: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.float64]:
    def loss(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = x @ line
        slopes = np.concatenate([[0.0], line[1:]])
        value = w @ (np.logaddexp(0, z) - y * z) + PENALTY / 2 * slopes @ slopes
        return float(value), (w * (expit(z) - y)) @ x + PENALTY * slopes

    return np.asarray(minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x)


def generation(
    rng: np.random.Generator, model: SimulatedModel, people: int, *, weighted: bool
) -> SimulatedModel:
    """The model that learns from a month of ``model``'s flags, with thresholds for the same workload."""
    drawn = draw_month(rng, observer(), model, people)
    follow_up = as_follow_up(drawn)
    weights = follow_up.shares
    if weighted:
        counts = inverse_propensities(follow_up)
        assert counts is not None
        everyone = np.zeros(follow_up.patients.max() + 1)
        everyone[follow_up.people().referred] = counts
        weights = weights * everyone[follow_up.patients]
    seen = drawn.log_odds + BLUR * rng.standard_normal((len(drawn.log_odds), 1))
    found = learn(drawn, seen, weights)
    thresholds = np.quantile(expit(design(seen) @ found), 1 - FLAGGED, axis=0)
    return Learned(BLUR, 1, 0, dict(zip(TARGET_NAMES, thresholds.tolist(), strict=True)), found)


def judged(everybody: Month, model: SimulatedModel) -> dict[str, dict[str, float]]:
    """Each target's figures in people who had no part in it, and the mean probability beside the share."""
    said = model.probabilities(np.random.default_rng(0), everybody.log_odds)
    figures = truth(replace(everybody, probabilities=said), model)
    for target in TARGETS:
        column = TARGET_NAMES.index(target)
        figures[target]["predicted"] = float(said[:, column].mean())
        figures[target]["prevalence"] = float(np.nanmean(everybody.truth[:, column]))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chains", type=int, default=10)
    parser.add_argument("--generations", type=int, default=3)
    parser.add_argument("--people", type=int, default=6_000)
    parser.add_argument("--population", type=int, default=20_000)
    given = parser.parse_args()
    champion, found = simulated_model(), defaultdict(list)
    everybody = month(20_000, given.population, champion)
    for chain in range(given.chains):
        for weighted in (False, True):
            model: SimulatedModel = champion
            for number in range(given.generations + 1):
                for target, figures in judged(everybody, model).items():
                    found[target, number, weighted].append(figures)
                if number < given.generations:
                    rng = np.random.default_rng((chain, number))
                    model = generation(rng, model, given.people, weighted=weighted)
    report({key: figures for key, figures in found.items() if key[0] in TARGETS})


def report(found: dict[tuple[str, int, bool], list[dict[str, float]]]) -> None:
    names = ("auroc", "ece", "calibration_slope", "calibration_intercept", "predicted", "prevalence")
    print("target       generation learned   " + "  ".join(f"{name:>21}" for name in names))
    for (target, number, weighted), figures in sorted(found.items()):
        values = [[one[name] for one in figures] for name in names]
        line = "  ".join(f"{np.mean(v):12.3f} ± {np.std(v):.3f} " for v in values)
        print(f"{target:12} {number:10} {'weighted' if weighted else 'naive':9} {line}")


if __name__ == "__main__":
    main()
