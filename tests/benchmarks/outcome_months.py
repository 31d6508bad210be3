"""Outcome figures of simulated months against the truth: naive and weighted by who was sent.

A month is 9,000 people with 11,700 ECGs, or 400 a day. Prints, for each target, in how many months the
weighted figures are nearer to the truth than the naive ones, and how often the 95 % intervals hold the truth:
what the model would reach in 300,000 other people of the same hospital, were all of them examined.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # for support

from stence.monitoring.outcomes import outcomes
from support.months import as_follow_up, month, simulated_model, truth
from support.simulated_months import SimulatedModel

FIGURES = ("auroc", "auprc", "ppv", "sensitivity", "calibration_slope", "calibration_intercept", "ece")
Estimates = dict[tuple[str, str], tuple[float, float, float]]


def estimates(model: SimulatedModel, people: int, seed: int) -> Estimates:
    """Value and interval by target and figure; the weighted ones end in ``_weighted``."""
    follow_up = as_follow_up(month(seed, people, model))
    return {
        (str(metric.slice_value), metric.name.removeprefix("outcome_")): (
            metric.value,
            metric.lower if metric.lower is not None else metric.value,
            metric.upper if metric.upper is not None else metric.value,
        )
        for metric in outcomes(follow_up, model.thresholds, sliced=False)
    }


def population(model: SimulatedModel, people: int) -> dict[str, dict[str, float]]:
    """The truth of so many people."""
    return truth(month(20_000, people, model), model)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--months", type=int, default=50)
    parser.add_argument("--people", type=int, default=9_000)
    parser.add_argument("--population", type=int, default=300_000)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    model, started = simulated_model(), time.monotonic()
    with ProcessPoolExecutor(given.processes) as pool:
        true = pool.submit(population, model, given.population)
        judge = partial(estimates, model, given.people)
        months = list(pool.map(judge, range(given.months)))
    report(months, true.result())
    print(f"{time.monotonic() - started:.0f} s")


def report(months: list[Estimates], true: dict[str, dict[str, float]]) -> None:
    inside: defaultdict[str, list[bool]] = defaultdict(list)
    for target, figures in true.items():
        sizes = [month[target, "effective_size_weighted"][0] for month in months]
        outcome = [month[target, "count"][0] for month in months]
        print(f"{target}: {np.mean(outcome):.0f} ECGs with an outcome, effective {np.mean(sizes):.0f} people")
        for figure in FIGURES:
            naive, weighted = (
                np.array([month[target, figure + suffix] for month in months]) for suffix in ("", "_weighted")
            )
            nearer = np.abs(weighted[:, 0] - figures[figure]) < np.abs(naive[:, 0] - figures[figure])
            held = (weighted[:, 1] <= figures[figure]) & (figures[figure] <= weighted[:, 2])
            naively = (naive[:, 1] <= figures[figure]) & (figures[figure] <= naive[:, 2])
            inside[figure] += held.tolist()
            print(
                f"  {figure:22} truth {figures[figure]:7.3f}  naive {naive[:, 0].mean():7.3f}  "
                f"weighted {weighted[:, 0].mean():7.3f}  nearer in {nearer.sum():2} of {len(months)}  "
                f"interval holds it in {held.sum():2} (naive: {naively.sum():2})"
            )
    for figure, held in inside.items():
        print(f"coverage {figure:22} {100 * np.mean(held):.1f} %")
    pooled = [hit for held in inside.values() for hit in held]
    print(f"coverage of all: {100 * np.mean(pooled):.1f} % of {len(pooled)}")


if __name__ == "__main__":
    main()
