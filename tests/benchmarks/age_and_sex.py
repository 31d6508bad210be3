"""What do age and sex add to the ECG, and the ECG to age and sex? Practice hospitals, trained as by default.

    python tests/benchmarks/age_and_sex.py [--seeds 7 8] [--patients 3000] [--fresh 9000] [--folder FOLDER]

Each seed is a hospital of its own, trained by the product's ``stence train`` with the preset ``small``. The
first table is that of the manifest, on the test patients: AUROC per patient of the model, of a logistic
regression on age and sex alone, and of the same network without age and sex, with the paired gains over both.
The second table measures the same model and a regression on the same training patients on ``fresh`` further
patients of the hospital, of whom a third has a cath report: the intervals are narrow. The last lines are the
mean over the hospitals with its Monte-Carlo error. FOLDER keeps models and figures, so that the work may be
stopped. On two quiet cores a hospital takes about two minutes, and 9,000 fresh patients two more.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from stence import database, scoring
from stence.cohort import Part, Split, split_of
from stence.domain.targets import labels
from stence.ecg import decode
from stence.evaluation.ablation import ablation
from stence.evaluation.predictions import predict
from stence.fitting.baseline import clinical_baseline
from stence.models import RiskScorer
from stence.objects import open_store
from stence.practice import claim_for_practice
from stence.registry import Artefact, Manifest, scorer
from stence.settings import Settings
from stence.simulation import HospitalConfig, simulate
from stence.simulation.files import write
from stence.simulation.patients import Patient, draw_patient
from stence.simulation.visits import draw_angiography_time, draw_visits
from stence.training import load_preset, train

OTHERS = ("age and sex alone", "ECG alone")
RESAMPLES = 1000
TEST, FRESH = "test patients", "fresh patients"


def silent(*_: object, **__: object) -> None:
    """Tell nothing."""


def trained(config: HospitalConfig) -> Artefact:
    """Make a hospital and train on it."""
    with tempfile.TemporaryDirectory(prefix="stence-age-and-sex-") as folder:
        settings = Settings(data_dir=Path(folder))
        store = open_store(settings.resolved_store_url, settings)
        with database.connect(settings) as engine:
            claim_for_practice(engine, store, settings)
            simulate(store, settings, config, silent)
            scoring.index(engine, store, settings, silent)
            version = train(engine, store, settings, load_preset("small").supervised)
        kept = f"{settings.model_prefix}{version}/"
        manifest = Manifest.model_validate_json(store.get(f"{kept}manifest.json"))
        return Artefact(manifest, store.get(f"{kept}model.safetensors"))


def referred(config: HospitalConfig, numbers: Iterable[int]) -> Iterator[tuple[np.random.Generator, Patient]]:
    """Yield the patients with a cath report, and the random numbers that draw their ECGs."""
    for number in numbers:
        rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(number,)))
        patient = draw_patient(rng, number)
        if patient.sent:
            yield rng, patient


def training_patients(config: HospitalConfig) -> Part:
    """Return the training patients as a part without signals: what the regression on age and sex reads."""
    found = [patient for _, patient in referred(config, range(config.patients))]
    return part([each for each in found if split_of(str(each.subject_id)) is Split.TRAIN], [])


def fresh_patients(config: HospitalConfig, count: int, model: RiskScorer) -> Part:
    """Return sound ECGs, at most 30 days before angiography, of the ``count`` next patients."""
    people, windows = [], []
    for rng, patient in referred(config, range(config.patients, config.patients + count)):
        angiography = draw_angiography_time(rng, config.end)
        for visit in draw_visits(rng, patient, angiography, config.end):
            days = (angiography - visit.ecg.taken_at) / timedelta(days=1)
            if visit.fault is None and 0 < days <= 30:
                files = write(visit.ecg)
                people.append(patient)
                windows.append(model.prepare(decode(next(iter(files)), files)))
    return part(people, windows)


def part(people: list[Patient], windows: list[np.ndarray]) -> Part:
    """Return a part of the cohort, one row an ECG of each of ``people``."""
    count = len(people)
    return Part(
        contents=tuple(map(str, range(count))),
        patients=np.array([each.number for each in people]),
        studies=np.arange(count),
        labels=np.array([labels(each.degrees.tolist()) for each in people], dtype=np.float32),
        degrees=np.array([each.degrees for each in people], dtype=np.float32),
        sex=np.array([each.sex for each in people]),
        age=np.array([each.age for each in people], dtype=np.float64),
        samples=np.zeros(count, np.int64),
        rows=np.arange(count),
        signals=np.array(windows, dtype=np.float32),
    )


def measured(seed: int, patients: int, fresh: int, folder: Path | None) -> dict[str, Any]:
    """Return the ablations of one hospital, on its test patients and on fresh ones."""
    config = HospitalConfig(patients=patients, seed=seed)
    artefact = kept_model(config, folder)
    found = {TEST: artefact.manifest.metrics["ablation"]}
    if fresh:
        model = scorer(artefact, "cpu")
        unseen = fresh_patients(config, fresh, model)
        baseline = clinical_baseline(training_patients(config), unseen)
        without = predict(model, unseen.without_age_and_sex())
        others = dict(zip(OTHERS, (baseline, without), strict=True))
        found[FRESH] = ablation(predict(model, unseen), others, RESAMPLES)
        found[FRESH]["cath patients"] = unseen.patient_count
    return found


def kept_model(config: HospitalConfig, folder: Path | None) -> Artefact:
    """Return the hospital's model, from ``folder`` if it is there."""
    if folder is None:
        return trained(config)
    place = folder / f"{config.patients}-{config.seed}"
    if not (place / "manifest.json").exists():
        artefact = trained(config)
        place.mkdir(parents=True, exist_ok=True)
        (place / "model.safetensors").write_bytes(artefact.weights)
        (place / "manifest.json").write_bytes(artefact.manifest_bytes)
    manifest = Manifest.model_validate_json((place / "manifest.json").read_text())
    return Artefact(manifest, (place / "model.safetensors").read_bytes())


def table(title: str, found: dict[str, Any]) -> str:
    """Table of one ablation."""
    rows = [line(target, of) for target, of in found.items() if isinstance(of, dict)]
    return "\n".join([f"\n{title}\n", HEAD, *rows])


HEAD = f"| target | model | {OTHERS[0]} | gain | {OTHERS[1]} | gain |\n|{'---|' * 6}"


def line(target: str, found: dict[str, Any]) -> str:
    """One row of the table."""
    cells = [f"{found['model']['value']:.3f}"]
    for other in OTHERS:
        auroc, gain = found["others"][other]["auroc"], found["others"][other]["gain"]
        cells.append(f"{auroc['value']:.3f}")
        cells.append(f"{gain['value']:+.3f} ({gain['lower']:+.3f} to {gain['upper']:+.3f})")
    return f"| {target} | {' | '.join(cells)} |"


def summary(hospitals: list[dict[str, Any]], target: str) -> str:
    """Mean over the hospitals, its standard error, and in how many the interval is above 0."""
    cells = [_mean([found[target]["model"]["value"] for found in hospitals])]
    for other in OTHERS:
        gains = [found[target]["others"][other]["gain"] for found in hospitals]
        cells.append(_mean([found[target]["others"][other]["auroc"]["value"] for found in hospitals]))
        above = sum(gain["lower"] > 0 for gain in gains)
        cells.append(f"{_mean([gain['value'] for gain in gains], '+')}, above 0 in {above} of {len(gains)}")
    return f"| {target} | {' | '.join(cells)} |"


def _mean(values: list[float], sign: str = "") -> str:
    error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return f"{np.mean(values):{sign}.3f} ± {error:.3f}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[7])
    parser.add_argument("--patients", type=int, default=3000)
    parser.add_argument("--fresh", type=int, default=9000)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    hospitals = []
    for seed in given.seeds:
        hospitals.append(measured(seed, given.patients, given.fresh, given.folder))
        for group, found in hospitals[-1].items():
            count = f" ({found['cath patients']} with a report)" if "cath patients" in found else ""
            print(table(f"seed {seed}, {group}{count}", found), flush=True)
    for group in hospitals[0]:
        found = [hospital[group] for hospital in hospitals]
        print(f"\n{group}: mean of {len(hospitals)} hospitals ± standard error\n\n{HEAD}")
        print("\n".join(summary(found, name) for name, of in found[0].items() if isinstance(of, dict)))


if __name__ == "__main__":
    main()
