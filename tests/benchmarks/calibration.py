"""What a calibration on few patients adds to logits that are right, and takes off logits that are wrong.

    python tests/benchmarks/calibration.py --repeats 200

Mean distance of the six targets' probabilities from the true ones, in 2,000 other patients. The logits are
those of a tree of regressions on 40,000 referred patients of the practice hospital, with noisy signs in place
of ECGs. "Platt" is the former way: six free lines by maximum likelihood with Platt's labels.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

sys.path.insert(0, str(Path(__file__).parents[1]))

from stence.evaluation import calibrate
from stence.models import Calibration
from stence.models.coherence import answers, probabilities
from support.drawn_hospital import draw, fit_tree

Reals = NDArray[np.float64]
CASES = {"right": (0.0, 1.0), "odds 1.6 times too high": (0.47, 1.0), "overconfident, slope .5": (0.0, 2.0)}
OTHERS = 2000


class World(NamedTuple):
    """True logits of the questions (n, 6), and answers (n, 6)."""

    logits: Reals
    asked: NDArray[np.float32]


def world() -> World:
    hospital = draw(np.random.default_rng(0), 120_000, 0.36)
    sent = hospital.referred & ~np.isnan(hospital.labels).any(axis=1)
    asked = answers(hospital.labels[sent])
    return World(hospital.features[sent] @ fit_tree(hospital.features[sent], asked), asked)


def platt(logits: Reals, asked: NDArray[np.float32]) -> Calibration:
    """Fit six free lines, slopes from 0."""
    lines = []
    for question in range(asked.shape[1]):
        known = ~np.isnan(asked[:, question])
        x, answer = logits[known, question], asked[known, question]
        yes, no = answer.sum(), (1 - answer).sum()
        label = np.where(answer == 1, (yes + 1) / (yes + 2), 1 / (no + 2))

        def loss(line: Reals, x: Reals = x, label: Reals = label) -> tuple[float, Reals]:
            z = line[0] * x + line[1]
            pull = expit(z) - label
            return float((np.logaddexp(0, z) - label * z).sum()), np.array([pull @ x, pull.sum()])

        bounds = [(0, None), (None, None)]
        lines.append(minimize(loss, (1.0, 0.0), jac=True, method="L-BFGS-B", bounds=bounds).x)
    slopes, intercepts = np.transpose(lines)
    return Calibration(tuple(slopes.tolist()), tuple(intercepts.tolist()))


def trial(known: World, patients: int, shift: float, scale: float, seed: int) -> dict[str, Reals]:
    """Mean distances (6,) and the smallest slope, of each way."""
    rng = np.random.default_rng((seed, patients))
    drawn, others = (rng.integers(len(known.logits), size=count) for count in (patients, OTHERS))
    given, true = known.logits[drawn] * scale + shift, probabilities(known.logits[others])
    ways = {
        "stence": calibrate.fit(given, known.asked[drawn], np.ones(patients)),
        "Platt": platt(given, known.asked[drawn]),
        "none": Calibration(),
    }
    found = {}
    for name, line in ways.items():
        error = np.abs(probabilities(line.apply(known.logits[others] * scale + shift)) - true).mean(axis=0)
        found[name] = np.append(error, min(line.slopes))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=200)
    asked, known = parser.parse_args(), world()
    print("patients  logits  way  >=50 >=70 >=90 100 RCA LCA (largest MC error) slope 0")
    for patients in (50, 100, 200, 400):
        for case, (shift, scale) in CASES.items():
            trials = [trial(known, patients, shift, scale, seed) for seed in range(asked.repeats)]
            for way in trials[0]:
                rows = np.array([found[way] for found in trials])
                error = rows[:, :6].std(axis=0).max() / np.sqrt(len(rows))
                mean = " ".join(f"{value:.3f}"[1:] for value in rows[:, :6].mean(axis=0))
                flat = (rows[:, 6] < 1e-3).mean()
                print(f"{patients:8d}  {case:24}  {way:7}  {mean}  ({error:.4f})  {flat:.2f}", flush=True)


if __name__ == "__main__":
    main()
