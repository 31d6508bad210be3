"""Numeric forms of OTiS-base and ECGFounder on a CPU against fp32: speed, and changes of probabilities.

    python tests/benchmarks/forms.py [PATIENTS]

Published sizes, random weights, one thread an ECG, 3 windows an ECG, interleaved rounds. The head is a ridge
probe for >= 50 %, fitted to two thirds of the practice ECGs; the changes are those of the last third, less
the mean error of the first two, as ``stence models optimise`` measures them.
"""

from __future__ import annotations

import csv
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import spearmanr

from stence.domain.targets import labels
from stence.ecg import read
from stence.ecg.recipes import STENCE
from stence.encoders import build
from stence.inference import available_forms, infer, prepare_network
from stence.models import RiskModel
from stence.models.risk import InferenceForm
from stence.objects import LocalStore
from stence.progress import silent
from stence.settings import Settings
from stence.simulation import HospitalConfig, simulate

WINDOWS, ROUNDS, PENALTY = 3, 9, 100.0


def main() -> None:
    torch.set_num_threads(1)
    ecgs, answers = practice_ecgs(int(sys.argv[1]) if len(sys.argv) > 1 else 250)
    learned = np.arange(len(ecgs)) < len(ecgs) * 2 // 3
    print("| encoder | form | speed | embeddings | largest change | mean change | rank correlation |")
    print("|---|---|---|---|---|---|---|")
    for name in ("otis", "ecgfounder"):
        forms = networks(name)
        embedded = {form: infer(net, ecgs, "cpu").embeddings.astype(float) for form, net in forms.items()}
        speeds = speed(forms, ecgs[0])
        reference = embedded["fp32"]
        risk = probe(reference, answers, learned)
        before = risk(reference[~learned])
        for form, found in embedded.items():
            error = np.linalg.norm(found - reference) / np.linalg.norm(reference)
            after = risk((found - (found - reference)[learned].mean(axis=0))[~learned])
            change, rank = np.abs(after - before), spearmanr(before, after).statistic
            print(
                f"| {name} | {form} | {speeds[form]:.2f} | {error:.1e} | {change.max():.4f} | "
                f"{change.mean():.5f} | {rank:.5f} |",
                flush=True,
            )


def practice_ecgs(patients: int) -> tuple[np.ndarray, np.ndarray]:
    """Sound ECGs (n, windows, 12, samples) of a practice hospital, and who has a stenosis >= 50 %."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(LocalStore(folder), Settings(), HospitalConfig(patients), silent)
        truth = {row["patient_id"]: row for row in table(folder / "simulation/truth.csv")}
        faulty = {row["key"] for row in table(folder / "simulation/faults.csv")}
        sound = [row for row in table(folder / "simulation/ecgs.csv") if row["key"] not in faulty]
        ecgs = [STENCE.prepare(read(folder / row["key"]), WINDOWS) for row in sound]
        people = [truth[row["patient_id"]] for row in sound]
    degrees = [[int(person[f"segment_{segment}"]) for segment in range(1, 17)] for person in people]
    return np.stack(ecgs), np.array([labels(each)[0] for each in degrees])


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def networks(name: str) -> dict[str, InferenceForm]:
    torch.manual_seed(0)
    network = InferenceForm(RiskModel(build(name)).eval())
    return {form: prepare_network(network, form, "cpu", WINDOWS) for form in available_forms("cpu")}


@torch.inference_mode()
def speed(forms: dict[str, InferenceForm], ecg: np.ndarray) -> dict[str, float]:
    """CPU time of fp32 relative to each form's, medians over rounds of all forms in turn."""
    one = torch.from_numpy(ecg[None])
    rounds = [[seconds(net, one) for net in forms.values()] for _ in range(ROUNDS)]
    ratios = [[taken[0] / each for each in taken] for taken in rounds]
    return dict(zip(forms, map(statistics.median, zip(*ratios, strict=True)), strict=True))


def seconds(network: InferenceForm, ecg: torch.Tensor) -> float:
    start = time.process_time()
    network.embed_and_answer(ecg)
    return time.process_time() - start


def probe(embeddings: np.ndarray, answers: np.ndarray, learned: np.ndarray):
    """A ridge-penalised logistic regression on standardised embeddings."""
    middle, spread = embeddings[learned].mean(axis=0), embeddings[learned].std(axis=0) + 1e-5
    terms = lambda x: np.column_stack([(x - middle) / spread, np.ones(len(x))])  # noqa: E731
    x, y = terms(embeddings[learned]), answers[learned]
    shrink = np.append(np.full(embeddings.shape[1], PENALTY), 0)

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ w
        return np.logaddexp(0, z).sum() - y @ z + shrink @ w**2 / 2, x.T @ (expit(z) - y) + shrink * w

    weights = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x
    return lambda x: expit(terms(x) @ weights)


if __name__ == "__main__":
    main()
