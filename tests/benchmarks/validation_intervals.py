"""Coverage of a validation's 95 % intervals: how often they hold the truth, by the number of cases.

Patients have one to four ECGs, the ill more, and a model that is too extreme. Prints, for each number of
patients with the target, the share of repetitions whose interval holds the value of 300,000 patients, with
its Monte-Carlo error, and the same where the ECGs are resampled and weighed one each (the former rule). The
sizes are those at which a validation says "cannot tell" (below 20) and what is recommended (100).
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stence.evaluation.evaluate import measured
from stence.evaluation.metrics import BinaryPredictions, binary_metrics, patient_shares
from stence.validation.measuring import calibration_curve, net_benefit, observed_to_expected, shares

SHOWN = ("auroc", "calibration_slope", "calibration_intercept", "brier")
SHARES = ("sensitivity", "positive_predictive_value")
THRESHOLD = 0.5
PREVALENCE = 0.33


def draw(rng: np.random.Generator, patients: int) -> tuple[BinaryPredictions, NDArray[np.int64]]:
    """A validation's predictions of patients with and without the target, about a third with it."""
    logit = -0.95 + 1.1 * rng.standard_normal(patients)
    ill = rng.uniform(size=patients) < 1 / (1 + np.exp(-logit))
    ecgs = 1 + rng.binomial(3, np.where(ill, 0.45, 0.2))
    patient = np.repeat(np.arange(patients), ecgs)
    seen = (
        logit[patient]
        + 0.9 * rng.standard_normal(patients)[patient]
        + 0.5 * rng.standard_normal(len(patient))
    )
    risk = 1 / (1 + np.exp(-(0.9 * seen - 0.1)))
    return BinaryPredictions(
        risk, ill[patient].astype(np.float32), THRESHOLD, patient_shares(patient)
    ), patient


def truth() -> dict[str, float]:
    """Values of 300,000 patients."""
    predicted, patients = draw(np.random.default_rng(99), 300_000)
    found = binary_metrics(predicted)
    own = next(row for row in net_benefit(predicted, patients, 1) if row["own"])
    curve = {
        f"curve from {each['from']}": each["observed"]["value"]
        for each in calibration_curve(predicted, patients)
    }
    expected = float(predicted.label @ predicted.weights / (predicted.probability @ predicted.weights))
    return (
        found | {"net benefit": own["model"]["value"], "gain": own["gain"]["value"], "O/E": expected} | curve
    )


def intervals(
    predicted: BinaryPredictions, patients: NDArray[np.int64], resamples: int
) -> dict[str, dict[str, float | None]]:
    """All intervals that a report has of a target."""
    found = measured(predicted, patients, resamples)
    own = next(row for row in net_benefit(predicted, patients, resamples) if row["own"])
    curve = calibration_curve(predicted, patients)
    wilson = shares(predicted, patients)
    return (
        {name: found[name] for name in SHOWN}
        | {f"{name}, bootstrap": found[name] for name in SHARES}
        | {name: wilson[name] for name in SHARES}
        | {"O/E": observed_to_expected(predicted, patients, resamples)}
        | {"net benefit": own["model"], "gain": own["gain"]}
        | {f"curve from {each['from']}": each["observed"] for each in curve}
    )


def coverage(cases: int, repetitions: int, resamples: int, *, by_ecg: bool) -> dict[str, float]:
    """Share of repetitions whose interval holds the truth, by figure; of the curve over all of its points."""
    real, rng = truth(), np.random.default_rng(cases)
    held: defaultdict[str, list[bool]] = defaultdict(list)
    for _ in range(repetitions):
        predicted, patients = draw(rng, round(cases / PREVALENCE))
        if by_ecg:
            predicted, patients = replace(predicted, weight=np.ones(len(patients))), np.arange(len(patients))
        for name, each in intervals(predicted, patients, resamples).items():
            if each["value"] is not None:
                key = "curve" if name.startswith("curve") else name
                held[key].append(each["lower"] <= real[name.removesuffix(", bootstrap")] <= each["upper"])
    return {name: float(np.mean(found)) for name, found in held.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=300)
    parser.add_argument("--resamples", type=int, default=300)
    parser.add_argument("--cases", type=int, nargs="+", default=[10, 20, 50, 100])
    options = parser.parse_args()
    error = (0.95 * 0.05 / options.repetitions) ** 0.5
    columns = [(cases, False) for cases in options.cases] + [(options.cases[-1], True)]
    found = [coverage(cases, options.repetitions, options.resamples, by_ecg=old) for cases, old in columns]
    heads = [f"{cases}{' by ECG' if old else ''}" for cases, old in columns]
    print(f"share of {options.repetitions} intervals that hold the truth, Monte-Carlo error {error:.3f}")
    print("| figure |", " | ".join(heads), "|")
    for name in found[0]:
        print(f"| {name} |", " | ".join(f"{each[name]:.3f}" for each in found), "|")


if __name__ == "__main__":
    main()
