"""How well the practice hospital's disease can be read: by an ideal observer, and from simple features.

    python tests/benchmarks/best_auroc.py

The ideal observer's AUROC (stence.simulation.truth) is that of 40,000 patients, one ECG each. Simple features
are ST and T levels, and two points of the QRS complex of the averaged beat in eight leads, by its size; a
ridge-penalised logistic regression on them is cross-validated over patients (5 folds) of a hospital of 3,000.
"""

from __future__ import annotations

import csv
import tempfile
from io import StringIO
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from stence.domain.targets import TARGET_NAMES, labels
from stence.ecg import read
from stence.objects import LocalStore
from stence.progress import silent
from stence.settings import Settings
from stence.simulation import HospitalConfig, simulate
from stence.simulation.cardiac_dipole import ISCHAEMIA_SPREAD, SCAR_SPREAD
from stence.simulation.coronaries import ischaemia
from stence.simulation.patients import draw_patient
from stence.simulation.truth import Evidence, IdealObserver, auroc, best_auroc
from support.delineation import INDEPENDENT, delineate

PEOPLE, PATIENTS, FOLDS, PENALTY = 40_000, 3000, 5, 30.0


def main() -> None:
    ideal, simple = ideal_auroc(), simple_auroc()
    print(
        "| target | prevalence: all | cath | best possible AUROC | simple features |\n|---|---|---|---|---|"
    )
    for column, name in enumerate(TARGET_NAMES):
        everyone, cath, best = (values[column] for values in ideal)
        print(f"| {name} | {everyone:.1%} | {cath:.1%} | **{best:.3f}** | {simple[column]:.3f} |")


def ideal_auroc() -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Prevalence among all and among cath patients, and the best possible AUROC among the latter."""
    rng, observer = np.random.default_rng(0), IdealObserver()
    everyone, cath, log_odds = [], [], []
    for patient in (draw_patient(rng, number) for number in range(PEOPLE)):
        everyone.append(labels(patient.degrees.tolist()))
        if patient.sent:
            signs = ischaemia(patient.degrees) + ISCHAEMIA_SPREAD * rng.standard_normal(3)
            scar = patient.trees.scar[0] + SCAR_SPREAD * rng.standard_normal(3)
            log_odds.append(observer.log_odds(Evidence(patient.age, patient.sex, True, signs, scar)))
            cath.append(everyone[-1])
    best = best_auroc(np.array(log_odds), np.array(cath))
    return np.nanmean(everyone, axis=0), np.nanmean(cath, axis=0), best


def simple_auroc() -> list[float]:
    """Cross-validated AUROC by target of the logistic regression, over the sound ECGs of cath patients."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(LocalStore(Path(folder)), Settings(), HospitalConfig(PATIENTS), silent)
        features, answers, patients = cath_ecgs(Path(folder))
    features = np.clip((features - np.median(features, axis=0)) / features.std(axis=0), -4, 4)
    fold = np.unique(patients, return_inverse=True)[1] % FOLDS
    result = []
    for column in range(len(TARGET_NAMES)):
        answer, score = answers[:, column], np.empty(len(answers))
        for held_out in range(FOLDS):
            train = (fold != held_out) & ~np.isnan(answer)
            weights = logistic_regression(features[train], answer[train])
            score[fold == held_out] = features[fold == held_out] @ weights[:-1] + weights[-1]
        result.append(auroc(score, answer))
    return result


def cath_ecgs(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (n, 56), answers (n, 6) and patients (n,)."""
    truth = {row["patient_id"]: row for row in table(folder / "simulation/truth.csv")}
    faulty = {row["key"] for row in table(folder / "simulation/faults.csv")}
    features, answers, patients = [], [], []
    for row in table(folder / "simulation/ecgs.csv"):
        person = truth[row["patient_id"]]
        if person["sent"] == "1" and row["key"] not in faulty:
            features.append(beat_features(folder / row["key"]))
            answers.append(labels([int(person[f"segment_{segment}"]) for segment in range(1, 17)]))
            patients.append(row["patient_id"])
    return np.array(features), np.array(answers), np.array(patients)


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(path.read_text(encoding="utf-8"))))


def beat_features(path: Path) -> np.ndarray:
    recording = read(path)
    beat, onset, offset, _ = delineate(recording.signal, recording.sampling_rate)
    leads, width = beat[INDEPENDENT], offset - onset
    points = [onset + 3 * width // 10, onset + width // 2, offset + 10, offset + 20, offset + 40]
    levels = [leads[:, offset + a : offset + b].mean(axis=1) for a, b in ((45, 65), (75, 110))]
    size = np.abs(leads[:, onset:offset]).max(axis=1).mean()
    return np.concatenate([*(leads[:, point] for point in points), *levels]) / size


def logistic_regression(features: np.ndarray, answer: np.ndarray) -> np.ndarray:
    x = np.column_stack([features, np.ones(len(features))])
    shrink = np.append(np.full(features.shape[1], PENALTY), 0)

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ w
        value = np.logaddexp(0, z).sum() - answer @ z + shrink @ w**2 / 2
        return value, x.T @ (expit(z) - answer) + shrink * w

    return minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x


if __name__ == "__main__":
    main()
