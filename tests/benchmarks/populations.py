"""Risks, workload and expected PPV in the screened population, over drawn hospitals.

    python tests/benchmarks/populations.py --hospitals 50

Each hospital draws the practice hospital's patients (age, sex, coronary trees, referral) and, in place of
ECGs, noisy signs of ischaemia and scar. A tree of logistic regressions is fitted to the training patients who
were referred; the product's own functions calibrate it, estimate the screened population and choose the
threshold. "cath" is the former way: calibrated and chosen on referred patients. Truth: all patients.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from stence.domain.thresholds import Workload
from stence.evaluation import calibrate
from stence.evaluation.screened import Referred, moved, screened, severity_of
from stence.models.coherence import answers, probabilities
from support.drawn_hospital import draw, fit_tree

BUDGET = 100
OVER_70 = 1


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
