"""Outcome figures in three referral worlds: how often intervals hold the truth, and what is withheld.

Generous: symptoms refer often, everybody may be sent. Flags-only: a flag refers with .9, symptoms 3 log-odds
rarer. Score-only: the logit of referral is -2.2 + 2.5 logit p. And flags-only with a verification sample: 5 %
of those without a flag are examined. A month is 9,000 people, drawn from a population that is itself the
truth. The former rule (weights clipped at .02, percentiles of 100 resamples, nothing withheld) judges the
first months.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

sys.path.insert(0, str(Path(__file__).parents[1]))  # for support

from stence.domain.targets import TARGET_NAMES
from stence.evaluation.bootstrap import bounds, resamples
from stence.evaluation.follow_up import FollowUp
from stence.evaluation.metrics import BinaryPredictions, calibration_lines, ranking, ratio
from stence.evaluation.outcome_weights import OVERLAP, POPULATIONS, WEIGHTED
from stence.evaluation.propensity import MIN_PROPENSITY, PENALTY, covariates
from stence.monitoring.outcomes import ALL, outcomes
from stence.monitoring.withheld import WORDS, Reason
from support.referral_worlds import VERIFIED, WORLDS, Population, observed

FIGURES = ("auroc", "auprc", "calibration_slope", "calibration_intercept", "sensitivity", "ppv")
FORMER, FORMER_RESAMPLES = "former rule", 100
SHOWN_EVERY = 50
Floats = NDArray[np.float64]
Estimate = tuple[float, float, float]
Month = dict[str, Estimate]


class Kept:
    """Estimates of all months by world, population and figure, and the reasons for which none was shown."""

    def __init__(self) -> None:
        self.shown: defaultdict[tuple[str, str], list[Month]] = defaultdict(list)
        self.withheld: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.rests: defaultdict[tuple[str, str], list[float]] = defaultdict(list)

    def take(self, world: str, follow_up: FollowUp, target: str, threshold: float) -> None:
        """Judge a month with the product's rule."""
        found = {
            metric.name.removeprefix("outcome_"): metric
            for metric in outcomes(follow_up, {target: threshold}, sliced=False)
            if metric.slice_key == ALL
        }
        for suffix in (WEIGHTED, OVERLAP):
            self.rests[world, suffix].append(found[f"effective_size{suffix}"].value)
            reason = found.get(f"withheld{suffix}")
            if reason is not None:
                self.withheld[world, suffix][WORDS[Reason(int(reason.value))]] += 1
                continue
            each = {name: found[f"{name}{suffix}"] for name in FIGURES if f"{name}{suffix}" in found}
            self.shown[world, suffix].append(
                {name: (m.value, float(m.lower or 0), float(m.upper or 0)) for name, m in each.items()}
            )


def former(follow_up: FollowUp, column: int, threshold: float) -> Month:
    """The former rule: cross-fitted propensities, updated in each resample and clipped; percentiles."""
    people, rows = follow_up.people(), np.flatnonzero(follow_up.referred)
    x, sent = covariates(people), people.referred.astype(np.float64)
    fold = np.random.default_rng(0).permutation(len(x)) % 3
    everyone, patients = np.arange(len(x)), follow_up.patients[rows]
    weights = []
    start: dict[int, Floats] = {}
    for drawn in [np.ones((1, len(x))), *resamples(everyone, FORMER_RESAMPLES)]:
        for each in drawn:
            e = np.empty(len(x))
            for k in range(3):
                out = fold != k
                steps = 1 if k in start else 12
                line = start.get(k, np.zeros(x.shape[1]))
                line = _newton(x[out], sent[out], each[out], line, steps)
                start.setdefault(k, line)
                e[fold == k] = expit(x[fold == k] @ line)
            weights.append(each[patients] * follow_up.shares[rows] / np.maximum(e, MIN_PROPENSITY)[patients])
    label = follow_up.labels[rows, column]
    known = ~np.isnan(label)
    predicted = BinaryPredictions(follow_up.probabilities[rows, column][known], label[known], threshold)
    w = np.array(weights)[:, known]
    areas, precisions = ranking(predicted, w)
    slope, intercept = calibration_lines(predicted, w)
    case, flagged = predicted.label.astype(np.float64), predicted.flagged.astype(np.float64)
    found = w @ (case * flagged)
    ppv, sensitivity = ratio(found, w @ flagged), ratio(found, w @ case)
    each_figure = (areas, precisions, slope, intercept, sensitivity, ppv)
    return {n: (float(v[0]), *bounds(v[1:])) for n, v in zip(FIGURES, each_figure, strict=True)}


def _newton(x: Floats, y: Floats, w: Floats, line: Floats, steps: int) -> Floats:
    penalty = np.full(x.shape[1], PENALTY)
    penalty[0] = 1e-6
    for _ in range(steps):
        fitted = expit(x @ line)
        curvature = (x * (w * fitted * (1 - fitted))[:, None]).T @ x + np.diag(penalty)
        line = line + np.linalg.solve(curvature, (w * (y - fitted)) @ x - penalty * line)
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--months", type=int, default=200)
    parser.add_argument(
        "--first", type=int, default=0, help="number of the first month: others are fresh draws"
    )
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=WORLDS)
    parser.add_argument("--former", type=int, default=20, help="months that the former rule judges, too")
    parser.add_argument("--people", type=int, default=9_000)
    parser.add_argument("--population", type=int, default=40_000)
    parser.add_argument("--target", default="stenosis_70", choices=TARGET_NAMES)
    given = parser.parse_args()
    started, kept = time.monotonic(), Kept()
    population, column = Population.draw(given.population), TARGET_NAMES.index(given.target)
    threshold = population.model.thresholds[given.target]
    for number in range(given.months):
        draw = given.first + number
        month = population.sample(np.random.default_rng((1, draw)), given.people)
        for world in given.worlds:
            rng = np.random.default_rng((2, draw, WORLDS.index(world)))
            follow_up = observed(rng, month, world)
            kept.take(world, follow_up, given.target, threshold)
            if number < given.former and world != VERIFIED:
                kept.shown[world, FORMER].append(former(follow_up, column, threshold))
        if (number + 1) % SHOWN_EVERY == 0 or number + 1 == given.months:
            print(f"\nafter {number + 1} months", flush=True)
            for world in given.worlds:
                report(world, population, kept, given.target, number + 1)
    print(f"{time.monotonic() - started:.0f} s")


def report(world: str, population: Population, kept: Kept, target: str, months: int) -> None:
    for suffix in (FORMER, WEIGHTED, OVERLAP):
        shown = kept.shown[world, suffix]
        truth = population.truth(world, target, OVERLAP if suffix == OVERLAP else WEIGHTED)
        reasons = ", ".join(f"{times} x {words}" for words, times in kept.withheld[world, suffix].items())
        if suffix != FORMER:
            rests = np.mean(kept.rests[world, suffix])
            part = 100 * sum(kept.withheld[world, suffix].values()) / months
            print(f"{world}, {POPULATIONS[suffix]}: effective {rests:.0f}, withheld {part:.1f} % ({reasons})")
        elif shown:
            print(f"{world}, former rule: {len(shown)} months, nothing withheld")
        for name in FIGURES if shown else ():
            value, lower, upper = np.array([month[name] for month in shown]).T
            held = np.mean((lower <= truth[name]) & (truth[name] <= upper))
            error = np.sqrt(held * (1 - held) / len(shown))
            print(
                f"  {name:22} truth {truth[name]:6.3f}  bias {np.mean(value) - truth[name]:+.4f} "
                f"± {np.std(value) / np.sqrt(len(shown)):.4f}  holds {100 * held:5.1f} ± {100 * error:.1f} %"
            )


if __name__ == "__main__":
    main()
