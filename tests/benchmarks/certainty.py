"""Do the intervals of the scores hold the true risk, and are unlike ECGs found?

    python tests/benchmarks/certainty.py drawn --hospitals 24
    python tests/benchmarks/certainty.py practice --seeds 7 8 9 --patients 2000 --fresh 5000 [--folder FOLDER]
    python tests/benchmarks/certainty.py speed --seeds 7 [--folder FOLDER]

``drawn``: embeddings of 64 numbers, whose tree of questions is known; referral follows the severity. A ridge
regression learns from six tenths of the referred, and the product's own functions do the rest. Intervals of
stenosis_70 of 2,000 further people are compared with their true risk: those of the product, those of the
calibration alone, and those of a bootstrap of the regression with the calibration.

``practice``: models of ``stence train`` on practice hospitals, and one sound ECG of each of ``fresh`` further
people. Their true risk given embedding, age and sex is estimated by a regression on all of them, with their
true disease. Then the share that is said to be unlike the training ECGs: of these, of altered ECGs, and of
real ones in ../shared/data.

``speed``: least CPU time of scoring, with intervals and novelty and without, with the first such model.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load, save
from scipy.optimize import brentq
from scipy.signal import butter, sosfiltfilt
from scipy.special import expit, logit

sys.path.insert(0, str(Path(__file__).parents[1]))

from age_and_sex import kept_model

from stence.domain.random_projection import project
from stence.domain.targets import labels
from stence.ecg import Recording, UnusableEcgError, decode, read
from stence.evaluation.certainty import Sample, certainty_of
from stence.evaluation.logistic import logistic_regression
from stence.evaluation.screened import LOSS, Referred, screened, severity_of
from stence.models import UNLIKE_PERCENT, RiskScorer, clinical_values
from stence.models.clinical import basis
from stence.models.coherence import answers, probabilities
from stence.registry import scorer
from stence.registry.artefact import CERTAINTY
from stence.simulation import HospitalConfig
from stence.simulation.files import write
from stence.simulation.patients import draw_patient
from stence.simulation.visits import draw_angiography_time, draw_visits

REAL = Path(__file__).resolve().parents[3] / "shared" / "data"
OVER_70 = 1
SIZE, FRESH, DRAWS = 64, 2000, 60
TAILS = (0.025, 0.975)
WORLDS: dict[str, dict[str, float]] = {
    "linear": {},
    "linear, 10 % referred of 8,000": {"patients": 8000, "share": 0.1},
    "a product of two directions, .3": {"product": 0.3},
    "a product of two directions, .6": {"product": 0.6},
}
Reals = NDArray[np.float64]


# --- drawn hospitals ----------------------------------------------------------------------------------------


def tree_of(rng: np.random.Generator, scale: Reals, product: float) -> Callable[[Reals], Reals]:
    """Return the true logits of embeddings: linear, and a product of two directions."""
    weights = rng.standard_normal((SIZE, 6)) / np.sqrt(scale)[:, None]
    weights *= 0.9 / np.sqrt((weights**2 * scale[:, None] ** 2).sum(axis=0))
    pair = rng.standard_normal((SIZE, 2))
    pair /= np.sqrt((pair**2 * scale[:, None] ** 2).sum(axis=0))
    start = np.array([-1.0, -0.3, -0.6, -0.5, 0, 0])
    return lambda e: start + e @ weights + product * (e @ pair).prod(axis=1, keepdims=True)


def draw_labels(rng: np.random.Generator, logits: Reals) -> NDArray[np.float32]:
    """Draw the answers of the tree, as labels (n, 6)."""
    yes = (rng.random(logits.shape) < expit(logits)).astype(np.float32)
    degrees = np.cumprod(yes[:, :4], axis=1)
    right = degrees[:, 1] * yes[:, 4]
    left = degrees[:, 1] * (1 - right * (1 - yes[:, 5]))
    return np.column_stack([degrees, right, left]).astype(np.float32)


def ridge(x: Reals, asked: NDArray[np.float32], times: Reals) -> Reals:
    """Fit one ridge regression per question, with sample weights; weights (features, 6)."""
    columns, precision = [], np.append(np.full(x.shape[1] - 1, 3.0), 1e-3)
    for answer in asked.T:
        known = ~np.isnan(answer)
        y = answer[known].astype(np.float64)
        columns.append(logistic_regression(x[known], y, times[known], precision).coefficients)
    return np.column_stack(columns)


def drawn_hospital(
    seed: int, patients: int = 3000, share: float = 0.36, product: float = 0.0
) -> dict[str, float] | None:
    rng = np.random.default_rng(seed)
    scale = np.sqrt(1 / np.arange(1, SIZE + 1))
    scale /= np.sqrt((scale**2).mean())
    embeddings = rng.standard_normal((patients + FRESH, SIZE)) * scale
    truth = tree_of(rng, scale, product)(embeddings)
    known = draw_labels(rng, truth)
    severity, place = severity_of(known), rng.random(patients + FRESH)
    pull = 2.5 * LOSS[severity[:patients]]
    start = brentq(lambda a: expit(a + pull).mean() - share, -12, 4)
    sent = np.zeros(patients + FRESH, dtype=bool)
    sent[:patients] = rng.random(patients) < expit(start + pull)
    train, held = sent & (place < 0.6), sent & (place >= 0.6) & (place < 0.85)
    others = np.flatnonzero(~sent[:patients])[:2000]
    x, asked = np.column_stack([embeddings, np.ones(len(embeddings))]), answers(known)
    network = ridge(x[train], asked[train], np.ones(train.sum()))
    logits, short = x @ network, project(embeddings.astype(np.float32))
    referred = Referred(logits[held], known[held], np.flatnonzero(held), np.ones(held.sum()))
    counts = np.bincount(severity[sent], minlength=5)
    found = screened(referred, counts, logits[others], float(sent[:patients].mean()), DRAWS)
    if found is None:
        return None
    weights = np.concatenate([np.full(held.sum(), share / held.sum()), np.full(len(others), 1 / len(others))])
    sample = Sample(np.concatenate([short[held], short[others]]), weights)
    sure = certainty_of(short[train], referred, short[held], sample, found.draws)
    fresh = np.arange(patients, patients + FRESH)
    point = probabilities(found.calibration.apply(logits[fresh]))[:, OVER_70]
    at = sure.coordinates(short[fresh])
    resampled = [
        ridge(x[train], asked[train], rng.multinomial(train.sum(), [1 / train.sum()] * train.sum()) * 1.0)
        for _ in range(DRAWS)
    ]
    by_network = [
        probabilities(draw.apply(x[fresh] @ each))[:, OVER_70]
        for draw, each in zip(found.draws, resampled, strict=True)
    ]
    ends = {
        "product": [end[:, OVER_70] for end in sure.interval(logits[fresh], at)],
        "calibration": [
            end[:, OVER_70] for end in replace(sure, offsets=0 * sure.offsets).interval(logits[fresh], at)
        ],
        "bootstrap": np.quantile(by_network, TAILS, axis=0, method="weibull"),
    }
    risk = probabilities(truth[fresh])[:, OVER_70]
    return covered(ends, point, risk) | {
        "unlike": float((sure.novelty(at) >= UNLIKE_PERCENT).mean()),
    }


def covered(ends: dict[str, Any], point: Reals, risk: Reals) -> dict[str, float]:
    """Return the share of people whose interval holds their risk, and of the tenth with the top scores."""
    top = point >= np.quantile(point, 0.9)
    found = {"distance": float(np.sqrt(np.mean((logit(point) - logit(risk)) ** 2)))}
    for name, (lower, upper) in ends.items():
        low, high = np.minimum(lower, point), np.maximum(upper, point)
        holds = (low <= risk) & (risk <= high)
        found |= {name: float(holds.mean()), f"{name}, top tenth": float(holds[top].mean())}
        found |= {f"{name}, width": float((high - low).mean())}
    return found


def drawn(hospitals: int) -> None:
    for name, world in WORLDS.items():
        rows = [row for seed in range(hospitals) if (row := drawn_hospital(seed, **world))]  # type: ignore[arg-type]
        show(f"{name}: {len(rows)} hospitals", rows)


def show(title: str, rows: list[dict[str, float]]) -> None:
    print(f"\n{title}")
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
        print(f"  {name:24s} {values.mean():.3f} +- {error:.3f}   least {values.min():.3f}", flush=True)


# --- practice hospitals -------------------------------------------------------------------------------------

LOW_PASS = butter(4, 15, fs=500, output="sos")
HIGH_PASS = butter(2, 2, "high", fs=500, output="sos")


def _limbs(signal: Reals) -> Reals:
    swapped = signal[[0, 2, 1, 4, 3, 5, *range(6, 12)]]
    swapped[0] = -swapped[0]
    return swapped


def _noisy(microvolts: float) -> Callable[[Reals], Reals]:
    noise = np.random.default_rng(0).standard_normal((12, 20_000)) * microvolts / 1000
    return lambda signal: signal + noise[:, : signal.shape[1]]


def _wide(signal: Reals) -> Reals:
    """Spread every beat as a paced or blocked one is: each sample becomes the mean of 120 ms."""
    return np.apply_along_axis(lambda lead: np.convolve(lead, np.ones(60) / 60, "same"), 1, signal)


ALTERED: dict[str, Callable[[Reals], Reals]] = {
    "arms swapped": _limbs,
    "V1 and V2 swapped": lambda signal: signal[[0, 1, 2, 3, 4, 5, 7, 6, 8, 9, 10, 11]],
    "V1 to V6 in reverse": lambda signal: signal[[0, 1, 2, 3, 4, 5, 11, 10, 9, 8, 7, 6]],
    "all leads inverted": lambda signal: -signal,
    "noise of 30 uV": _noisy(30),
    "noise of 100 uV": _noisy(100),
    "low-pass at 15 Hz": lambda signal: sosfiltfilt(LOW_PASS, signal, axis=1),
    "high-pass at 2 Hz": lambda signal: sosfiltfilt(HIGH_PASS, signal, axis=1),
    "beats of 120 ms more": _wide,
    "twice the gain": lambda signal: 2 * signal,
    "rate stated as half (twice as slow)": lambda signal: np.repeat(signal, 2, axis=1)[:, : signal.shape[1]],
    "rate stated as double (twice as fast)": lambda signal: np.tile(signal[:, ::2], 2),
}


class People:
    """One sound ECG of each fresh person, prepared, with labels and clinical values."""

    def __init__(self, config: HospitalConfig, count: int, model: RiskScorer, altered: int) -> None:
        self.windows: list[NDArray[np.float32]] = []
        self.labels: list[NDArray[np.float32]] = []
        self.clinical: list[Reals] = []
        self.altered: dict[str, list[NDArray[np.float32]]] = {name: [] for name in ALTERED}
        for number in range(config.patients, config.patients + count):
            rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(number,)))
            patient = draw_patient(rng, number)
            at = draw_angiography_time(rng, config.end) if patient.sent else None
            sound = (visit for visit in draw_visits(rng, patient, at, config.end) if visit.fault is None)
            if (visit := next(sound, None)) is None:
                continue
            files = write(visit.ecg)
            recording = decode(next(iter(files)), files)
            self.windows.append(model.prepare(recording))
            self.labels.append(labels(patient.degrees.tolist()))
            self.clinical.append(clinical_values([patient.age], [patient.sex])[0])
            if len(self.windows) <= altered:
                for name, change in ALTERED.items():
                    self.altered[name].append(model.prepare(changed(recording, change)))


def changed(recording: Recording, change: Callable[[Reals], Reals]) -> Recording:
    signal = change(np.array(recording.signal, np.float64))
    return replace(recording, signal=np.ascontiguousarray(signal, dtype=np.float32))


def true_risk(coordinates: Reals, clinical: Reals, point: Reals, known: NDArray[np.float32]) -> Reals:
    """Estimate everybody's true risk (n,): two regressions on top of the score, with the best prior."""
    terms = np.hstack([np.ones((len(point), 1)), coordinates, basis(clinical)[:, 1:]])
    label = known[:, OVER_70]
    told = ~np.isnan(label)
    x, y, offset = terms[told], label[told].astype(np.float64), logit(point)
    fits = []
    for width in (0.03, 0.06, 0.1, 0.2, 0.35, 0.6, 1.0):
        precision = np.append(1e-2, np.full(terms.shape[1] - 1, (terms.shape[1] - 1) / width**2))
        fit = logistic_regression(x, y, np.ones(len(y)), precision, offset[told])
        z = x @ fit.coefficients + offset[told]
        evidence = (y * z - np.logaddexp(0, z)).sum() - 0.5 * precision @ fit.coefficients**2
        evidence += 0.5 * (np.log(precision).sum() - np.linalg.slogdet(fit.curvature)[1])
        fits.append((evidence, fit.coefficients))
    return expit(offset + terms @ max(fits, key=lambda each: each[0])[1])


def practice_hospital(config: HospitalConfig, fresh: int, folder: Path | None) -> dict[str, float]:
    model = scorer(kept_model(config, folder), "cpu")
    people = People(config, fresh, model, altered=200)
    clinical, known = np.array(people.clinical), np.array(people.labels)
    scores = model.embed_and_score(np.array(people.windows), clinical)
    point = np.clip(scores.probabilities[:, OVER_70], 1e-6, 1 - 1e-6)
    centred = scores.projections - scores.projections.mean(axis=0)
    coordinates = np.linalg.solve(np.linalg.cholesky(np.cov(centred, rowvar=False)), centred.T).T
    risk = true_risk(coordinates, clinical, point, known)
    ends = {"product": [scores.lower[:, OVER_70], scores.upper[:, OVER_70]]}
    found = covered(ends, point, risk)
    found |= {"mean risk": float(point.mean()), "true": float(np.nanmean(known[:, OVER_70]))}
    found["unlike"] = float((scores.novelty >= UNLIKE_PERCENT).mean())
    for name, windows in people.altered.items():
        novelty = model.embed_and_score(np.array(windows), clinical[: len(windows)]).novelty
        found[name] = float((novelty >= UNLIKE_PERCENT).mean())
    return found | {f"real: {name}": said_of_real(model, name) for name in ("cinc2021", "ludb")}


def said_of_real(model: RiskScorer, name: str) -> float:
    """Return the share of real ECGs that is said to be unlike; NaN if they are not here."""
    windows = []
    for path in sorted((REAL / name).glob("*.hea")):
        with suppress(UnusableEcgError):
            windows.append(model.prepare(read(path)))
    if not windows:
        return float("nan")
    unknown = clinical_values([None] * len(windows), [None] * len(windows))
    return float((model.embed_and_score(np.array(windows), unknown).novelty >= UNLIKE_PERCENT).mean())


# --- speed --------------------------------------------------------------------------------------------------


def speed(config: HospitalConfig, folder: Path | None, turns: int = 15, count: int = 128) -> None:
    artefact = kept_model(config, folder)
    tensors = {name: each for name, each in load(artefact.weights).items() if not name.startswith(CERTAINTY)}
    models = scorer(artefact, "cpu"), scorer(replace(artefact, weights=save(tensors)), "cpu")
    shape = (count, models[0].windows, 12, models[0].recipe.samples)
    ecgs = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    unknown, seconds = clinical_values([None] * count, [None] * count), np.empty((turns, 2))
    for turn in range(turns):
        for place, model in enumerate(models):
            start = time.process_time()
            model.embed_and_score(ecgs, unknown)
            seconds[turn, place] = time.process_time() - start
    sure, bare = seconds.min(axis=0) / count * 1000
    print(f"{sure:.2f} ms an ECG with intervals and novelty, {bare:.2f} without: ratio {sure / bare:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["drawn", "practice", "speed"])
    parser.add_argument("--hospitals", type=int, default=24)
    parser.add_argument("--seeds", nargs="+", type=int, default=[7, 8, 9])
    parser.add_argument("--patients", type=int, default=2000)
    parser.add_argument("--fresh", type=int, default=5000)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.part == "drawn":
        drawn(asked.hospitals)
        return
    configs = [HospitalConfig(patients=asked.patients, seed=seed) for seed in asked.seeds]
    if asked.part == "speed":
        speed(configs[0], asked.folder)
        return
    rows = [practice_hospital(config, asked.fresh, asked.folder) for config in configs]
    show(f"practice: {len(rows)} hospitals of {asked.patients}, {asked.fresh} fresh people each", rows)


if __name__ == "__main__":
    main()
