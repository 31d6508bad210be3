"""One risk a patient: which ECG decides, do many ECGs raise the chance of a flag, and who comes first?

    python tests/benchmarks/patient_risk.py [--seeds 7 8] [--patients 3000] [--fresh 3000] [--healthy 200]
                                            [--folder FOLDER]

Models are trained by ``stence train`` on practice hospitals, as in ``age_and_sex.py`` (and kept in FOLDER).
Of each hospital, ``fresh`` further patients have one to three ECGs, referred or not. The first table compares
the newest, the mean and the highest probability as the patient's risk: AUROC, calibration slope, the share
flagged at the model's threshold. The second gives the share of truly severe patients among the first of the
list, by its order. The third compares risks with the truth for patients who were never referred: as stored,
for everybody, and as ``flagged_patients_all`` has them for the unexamined. The fourth draws 30 ECGs of each
of ``healthy`` patients without a narrowing of 50 %, and gives the chance to be on the list after so many
ECGs, relative to one. ``±`` is a standard error over patients.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))  # for support

from benchmarks.age_and_sex import kept_model
from stence.domain.targets import TARGET_NAMES, labels
from stence.domain.thresholds import DECIMALS
from stence.ecg import decode
from stence.evaluation.metrics import BinaryPredictions, auroc
from stence.evaluation.recalibration import slope
from stence.models import RiskScorer, clinical_values
from stence.registry import Artefact, scorer
from stence.simulation import HospitalConfig
from stence.simulation.cardiac_dipole import draw_heart
from stence.simulation.devices import draw_device, draw_site
from stence.simulation.files import Ecg, write
from stence.simulation.patients import Patient, draw_patient
from stence.simulation.visits import (
    Place,
    draw_angiography_time,
    draw_resting_rate,
    draw_visit,
    draw_visits,
    study_id,
)

Reals = NDArray[np.float64]
SEVERE, SEVEREST = TARGET_NAMES.index("stenosis_70"), TARGET_NAMES.index("stenosis_90")
STEPS = np.array([50, 20, 20, 10])
"""Percent that each degree of 50, 70, 90 and 100 adds to the one before."""
DECISIONS: dict[str, Callable[[Reals], float]] = {
    "newest": lambda p: p[-1],
    "mean": np.mean,
    "highest": np.max,
}
MANY = 30
TOGETHER = 64


class Followed(NamedTuple):
    """A patient, and the probabilities (n, 6) of the ECGs, oldest first."""

    patient: Patient
    probabilities: Reals


def scored(people: Iterator[tuple[Patient, list[Ecg]]], model: RiskScorer) -> Iterator[Followed]:
    """Yield the patients with the probabilities of their sound ECGs."""
    waiting: list[tuple[Patient, list[Ecg]]] = []
    for each in people:
        waiting.append(each)
        if sum(len(ecgs) for _, ecgs in waiting) >= TOGETHER:
            yield from _scored(waiting, model)
            waiting = []
    if waiting:
        yield from _scored(waiting, model)


def _scored(waiting: list[tuple[Patient, list[Ecg]]], model: RiskScorer) -> Iterator[Followed]:
    windows, clinical = [], []
    for patient, ecgs in waiting:
        for ecg in ecgs:
            files = write(ecg)
            windows.append(model.prepare(decode(next(iter(files)), files)))
            clinical.append((patient.age, patient.sex))
    known = clinical_values([age for age, _ in clinical], [sex for _, sex in clinical])
    probabilities = model.score(np.stack(windows), known)
    ends = np.cumsum([len(ecgs) for _, ecgs in waiting])
    for (patient, _), own in zip(waiting, np.split(probabilities, ends[:-1]), strict=True):
        yield Followed(patient, own)


def fresh(config: HospitalConfig, count: int) -> Iterator[tuple[Patient, list[Ecg]]]:
    """Yield the next patients of the hospital with their sound ECGs, in order of time."""
    for number in range(config.patients, config.patients + count):
        rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(number,)))
        patient = draw_patient(rng, number)
        angiography = draw_angiography_time(rng, config.end) if patient.sent else None
        visits = draw_visits(rng, patient, angiography, config.end)
        if ecgs := [visit.ecg for visit in visits if visit.fault is None]:
            yield patient, ecgs


def healthy(config: HospitalConfig, count: int) -> Iterator[tuple[Patient, list[Ecg]]]:
    """Yield patients without a narrowing of 50 %, with ``MANY`` sound ECGs each."""
    number = 10 * config.patients
    while count:
        number += 1
        rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(number,)))
        patient = draw_patient(rng, number)
        if patient.degrees.max() >= 50:
            continue
        count -= 1
        yield patient, list(_many(rng, patient, config))


def _many(rng: np.random.Generator, patient: Patient, config: HospitalConfig) -> Iterator[Ecg]:
    heart, rate, site = draw_heart(rng, patient), draw_resting_rate(rng), draw_site(rng)
    sound = 0
    while sound < MANY:
        taken_at = config.end - timedelta(days=MANY - sound)
        place = Place(sound, study_id(patient.number, sound % 16), taken_at, draw_device(rng, site), site)
        visit = draw_visit(rng, patient, heart, rate, place)
        if visit.fault is None:
            sound += 1
            yield visit.ecg


def decisions(people: list[Followed], threshold: float) -> str:
    """Compare what may decide: AUROC, calibration slope and flagged patients, of known labels."""
    rows = []
    truth = np.array([labels(each.patient.degrees.tolist())[SEVERE] for each in people])
    known = ~np.isnan(truth)
    several = np.array([len(each.probabilities) > 1 for each in people])
    for name, decide in DECISIONS.items():
        risk = np.array([decide(each.probabilities[:, SEVERE]) for each in people])
        line = slope(BinaryPredictions(risk[known], truth[known], threshold), np.arange(known.sum()))
        low, high = line.interval()
        among = known & several
        flagged = np.round(risk, DECIMALS) >= threshold
        rows.append(
            f"| {name} | {auroc(risk[known], truth[known]):.3f} | {auroc(risk[among], truth[among]):.3f} | "
            f"{line.value:.2f} ({low:.2f} to {high:.2f}) | "
            f"{risk[known].mean():.3f}, {truth[known].mean():.3f} | "
            f"{1000 * flagged.mean():.0f} ± {1000 * flagged.std() / len(flagged) ** 0.5:.0f} |"
        )
    head = (
        "| decides | AUROC | of patients with several ECGs | slope | mean, true share | flagged per 1,000 |"
    )
    return "\n".join([head, f"|{'---|' * 6}", *rows])


def orders(people: list[Followed], artefact: Artefact) -> str:
    """Share of truly severe patients among the first 20 and 100 of unknown patients, by order."""
    newest = np.array([each.probabilities[-1] for each in people])
    degree = np.array([each.patient.degrees.max() for each in people])
    unknown = np.array([not each.patient.sent for each in people])
    thresholds = np.array([artefact.manifest.thresholds[name].value for name in TARGET_NAMES])
    decisive, every = newest[:, SEVERE] >= thresholds[SEVERE], (newest >= thresholds).any(axis=1)
    lists = {
        "probability of stenosis_70": (decisive & unknown, newest[:, SEVERE]),
        "expected degree": (decisive & unknown, newest[:, :4] @ STEPS),
        "any target, highest probability, cath patients too": (every, newest.max(axis=1)),
    }
    rows = []
    for name, (listed, rank) in lists.items():
        first = np.flatnonzero(listed)[np.argsort(-rank[listed], kind="stable")]
        cells = [_share(degree[first[:count]] >= at_least) for at_least in (70, 90) for count in (20, 100)]
        per_1000 = 1000 * listed.mean()
        off = (~unknown)[first[:100]].mean()
        rows.append(f"| {name} | {per_1000:.0f} | {' | '.join(cells)} | {off:.0%} |")
    head = (
        "| list, order | patients per 1,000 | >= 70 in the first 20 | in 100 | >= 90 in 20 | in 100 | "
        "with a cath study in 100 |"
    )
    return "\n".join([head, f"|{'---|' * 7}", *rows])


def _share(found: NDArray[np.bool_]) -> str:
    return f"{found.mean():.2f} ± {np.sqrt(found.mean() * (1 - found.mean()) / len(found)):.2f}"


def unexamined(people: list[Followed], artefact: Artefact) -> str:
    """Mean risk and truth of patients without a referral: all of them, and those who are flagged."""
    share = artefact.manifest.metrics["screened"]["share_referred"]
    weights = np.array([draw.severity_weights for draw in artefact.manifest.calibration_draws])
    shares = np.clip(1 - share / weights, 0, 1)
    low, high = np.quantile(shares, (0.025, 0.975), axis=0)
    newest = np.array([each.probabilities[-1] for each in people if not each.patient.sent])
    degree = np.array([each.patient.degrees.max() for each in people if not each.patient.sent])
    severities = -np.diff(newest[:, :4], prepend=1, append=0)
    lower, own, upper = (
        _severe(severities * np.concatenate([never[:2], severe[2:]]))
        for never, severe in ((high, low), (shares.mean(axis=0),) * 2, (low, high))
    )
    flagged = newest[:, SEVERE] >= artefact.manifest.thresholds["stenosis_70"].value
    rows = []
    for name, of in {"all": np.ones(len(own), bool), "flagged": flagged}.items():
        truth = _share(degree[of] >= 70)
        interval = f"{own[of].mean():.3f} ({lower[of].mean():.3f} to {upper[of].mean():.3f})"
        rows.append(f"| {name} | {of.sum()} | {newest[of, SEVERE].mean():.3f} | {interval} | {truth} |")
    head = "| never referred | patients | risk, for everybody | for the unexamined | truth |"
    return "\n".join([head, f"|{'---|' * 5}", *rows])


def _severe(among: Reals) -> Reals:
    return among[:, 2:].sum(axis=1) / among.sum(axis=1)


def repeated(people: list[Followed], threshold: float) -> str:
    """Chance to be on the list after so many ECGs, relative to one, of patients without disease."""
    p = np.round([each.probabilities[:, SEVERE] for each in people], DECIMALS)
    once = (p >= threshold).mean()
    rows = []
    for name, decide in DECISIONS.items():
        cells = []
        for count in (1, 2, 5, 10, MANY):
            parts = p[:, : MANY // count * count].reshape(len(p), -1, count)
            risks = np.apply_along_axis(decide, 2, parts)
            cells.append(f"{(risks >= threshold).mean() / once:.2f}")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    head = f"| decides, after ECGs: | 1 | 2 | 5 | 10 | {MANY} |"
    return "\n".join([f"With one ECG: {once:.4f}\n", head, f"|{'---|' * 6}", *rows])


def main() -> None:
    """Print the tables of each hospital."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[7])
    parser.add_argument("--patients", type=int, default=3000)
    parser.add_argument("--fresh", type=int, default=3000)
    parser.add_argument("--healthy", type=int, default=200)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    for seed in given.seeds:
        config = HospitalConfig(patients=given.patients, seed=seed)
        artefact = kept_model(config, given.folder)
        model, threshold = scorer(artefact, "cpu"), artefact.manifest.thresholds["stenosis_70"].value
        people = list(scored(fresh(config, given.fresh), model))
        print(f"\nseed {seed}: {len(people)} patients\n\n{decisions(people, threshold)}")
        print(f"\n{orders(people, artefact)}\n\n{unexamined(people, artefact)}", flush=True)
        if not given.healthy:
            continue
        well = list(scored(healthy(config, given.healthy), model))
        print(f"\n{len(well)} patients without disease. {repeated(well, threshold)}", flush=True)


if __name__ == "__main__":
    main()
