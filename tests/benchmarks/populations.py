"""Risks, workload and expected PPV in the screened population, over drawn hospitals.

    python tests/benchmarks/populations.py --hospitals 50

Each hospital draws the practice hospital's patients (age, sex, coronary trees, referral) and, in place of
ECGs, noisy signs of ischaemia and scar. A tree of logistic regressions is fitted to the training patients who
were referred; the product's own functions calibrate it, estimate the screened population and choose the
threshold. "cath" is the former way: calibrated and chosen on referred patients. Truth: all patients.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from stence.domain.targets import labels
from stence.domain.thresholds import Workload
from stence.evaluation import calibrate
from stence.evaluation.screened import Referred, moved, screened, severity_of
from stence.models.coherence import answers, probabilities
from stence.simulation.cardiac_dipole import ISCHAEMIA_SPREAD, SCAR_SPREAD
from stence.simulation.coronaries import draw_trees, ischaemia
from stence.simulation.patients import expected_burden

BUDGET = 100
OVER_70 = 1
NOISE = 0.5
Reals = NDArray[np.float64]


class Hospital(NamedTuple):
    features: Reals
    labels: NDArray[np.float32]
    referred: NDArray[np.bool_]
    place: Reals
    """Uniform in [0, 1): below .6 training, above held out, from .85 test."""


def draw(rng: np.random.Generator, patients: int, share: float) -> Hospital:
    age = np.clip(rng.normal(63, 13, patients), 22, 94).astype(int)
    male = rng.random(patients) < 0.54
    risk = rng.standard_normal(patients)
    burden = np.array([expected_burden(a, "M" if m else "F") for a, m in zip(age, male, strict=True)])
    trees = draw_trees(rng, burden + risk)
    shortage = ischaemia(trees.degrees)
    pull = 3.2 * shortage.max(axis=1) + 0.35 * risk
    start = brentq(lambda a: expit(a + pull).mean() - share, -12, 4)
    signs = np.hstack([shortage / ISCHAEMIA_SPREAD, trees.scar / SCAR_SPREAD])
    signs = signs + np.sqrt(1 + NOISE**2) * rng.standard_normal(signs.shape)
    decades = (age - 63) / 13
    features = np.column_stack([signs, decades, decades**2, male, np.ones(patients)])
    known = np.array([labels(degrees) for degrees in trees.degrees.tolist()])
    return Hospital(features, known, rng.random(patients) < expit(start + pull), rng.random(patients))


def fit_tree(features: Reals, asked: NDArray[np.float32]) -> Reals:
    """Fit one ridge logistic regression per question; weights (features, 6)."""
    lines = []
    for question in range(asked.shape[1]):
        known = ~np.isnan(asked[:, question])
        x, y = features[known], asked[known, question]
        line, ridge = np.zeros(x.shape[1]), np.append(np.full(x.shape[1] - 1, 3.0), 1e-3)
        for _ in range(30):
            p = expit(x @ line)
            curve = (x * (p * (1 - p))[:, None]).T @ x + np.diag(ridge)
            line -= np.linalg.solve(curve, x.T @ (p - y) + ridge * line)
        lines.append(line)
    return np.column_stack(lines)


def trial(rng: np.random.Generator, patients: int, share: float, draws: int) -> dict[str, float]:
    hospital = draw(rng, patients, share)
    sent, held = hospital.referred, hospital.place >= 0.6
    train, calibrating = sent & ~held, sent & held & (hospital.place < 0.85)
    logits = hospital.features @ fit_tree(hospital.features[train], answers(hospital.labels[train]))
    ids = np.arange(patients)
    known = Referred(
        logits[calibrating], hospital.labels[calibrating], ids[calibrating], np.ones(calibrating.sum())
    )
    severity = severity_of(hospital.labels[sent])
    counts = np.bincount(severity[severity >= 0], minlength=5)
    found = screened(known, counts, logits[~sent], float(sent.mean()), draws)
    truth = hospital.labels[:, OVER_70]
    cath = probabilities(calibrate.fit(*_calibrating(known)).apply(logits))
    result = {"cath_risk": float(np.nanmean(cath[:, OVER_70]) - np.nanmean(truth))}
    validation = sent & held & (hospital.place < 0.75)
    former = Workload(BUDGET).choose(cath[validation, OVER_70], truth[validation], "").value
    result["cath_workload"] = float(1000 * (cath[:, OVER_70] >= former).mean())
    result["cath_ppv"] = float(
        cath[cath[:, OVER_70] >= former, OVER_70].mean() - np.nanmean(truth[cath[:, OVER_70] >= former])
    )
    if found is None:
        return result | {"cannot_tell": 1.0}
    risk = probabilities(found.calibration.apply(logits))
    # the routine ECGs: everybody unreferred, and held-out referred patients who stand for all referred
    weight = np.where(sent, np.where(held & sent, sent.sum() / (held & sent).sum(), 0), 1.0)
    threshold = Workload(BUDGET).choose(risk[:, OVER_70], truth, "", weight).value
    flagged = risk[:, OVER_70] >= threshold
    drawn = np.array([moved(found.calibration, each, risk)[:, OVER_70] for each in found.draws])
    means = drawn.mean(axis=1)
    cases = rng.random((len(drawn), int(flagged.sum()))) < drawn[:, flagged]
    low, high = np.percentile(cases.mean(axis=1), [2.5, 97.5])
    ppv = np.nanmean(truth[flagged])
    return result | {
        "cannot_tell": 0.0,
        "risk": float(np.nanmean(risk[:, OVER_70]) - np.nanmean(truth)),
        "risk_covered": float(np.percentile(means, 2.5) <= np.nanmean(truth) <= np.percentile(means, 97.5)),
        "risk_width": float(np.subtract(*np.percentile(means, [97.5, 2.5]))),
        "workload": float(1000 * flagged.mean()),
        "ppv": float(risk[flagged, OVER_70].mean() - ppv),
        "ppv_covered": float(low <= ppv <= high),
        "ppv_width": float(high - low),
    }


def _calibrating(known: Referred) -> tuple[Any, ...]:
    return known.logits, answers(known.labels), known.weights


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hospitals", type=int, default=50)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--sizes", default="3000:.36,3000:.1,3000:.05,10800:.1,21600:.05")
    asked = parser.parse_args()
    for size in asked.sizes.split(","):
        patients, share = int(size.split(":")[0]), float(size.split(":")[1])
        rows = [
            trial(np.random.default_rng((seed, patients)), patients, share, asked.draws)
            for seed in range(asked.hospitals)
        ]
        unknown = np.mean([row["cannot_tell"] for row in rows])
        print(
            f"\n{patients} patients, {share:.0%} referred, {len(rows)} hospitals; cannot tell: {unknown:.2f}"
        )
        for name in rows[0] | rows[-1]:
            values = np.array([row[name] for row in rows if name in row])
            error = values.std() / np.sqrt(len(values))
            print(
                f"  {name:14s} mean {values.mean():8.3f} +- {error:.3f}   SD {values.std():.3f}", flush=True
            )


if __name__ == "__main__":
    main()
