"""What do age and sex add to the ECG, and the ECG to age and sex? Practice hospitals, trained as by default.

    python tests/benchmarks/age_and_sex.py [--seeds 7 8] [--patients 3000] [--preset small] [--folder FOLDER]

Each seed is a hospital of its own, trained by the product's ``stence train``. The table is that of the
model's manifest: AUROC per patient on its test patients, of the model, of a logistic regression on age and
sex alone, and of the same network without age and sex, with the gains over both. The last lines are the mean
over the hospitals with its Monte-Carlo error. FOLDER keeps each hospital's figures, so that the work may be
stopped. A hospital takes one to two minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from stence import database, scoring
from stence.objects import open_store
from stence.practice import claim_for_practice
from stence.registry import Manifest
from stence.settings import Settings
from stence.simulation import HospitalConfig, simulate
from stence.training import load_preset, train

OTHERS = ("age and sex alone", "ECG alone")


def silent(*_: object, **__: object) -> None:
    """Tell nothing."""


def trained(seed: int, patients: int, preset: str) -> dict[str, Any]:
    """Make a hospital, train on it, and return the ablation of its model."""
    with tempfile.TemporaryDirectory(prefix="stence-age-and-sex-") as folder:
        settings = Settings(data_dir=Path(folder))
        store = open_store(settings.resolved_store_url, settings)
        with database.connect(settings) as engine:
            claim_for_practice(engine, store, settings)
            simulate(store, settings, HospitalConfig(patients=patients, seed=seed), silent)
            scoring.index(engine, store, settings, silent)
            version = train(engine, store, settings, load_preset(preset).supervised)
        content = store.get(f"{settings.model_prefix}{version}/manifest.json")
        found: dict[str, Any] = Manifest.model_validate_json(content).metrics["ablation"]
    return found


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
    parser.add_argument("--preset", default="small")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    head = f"| target | model | {OTHERS[0]} | gain | {OTHERS[1]} | gain |\n|{'---|' * 6}"
    hospitals = []
    for seed in given.seeds:
        kept = given.folder and given.folder / f"{given.patients}-{given.preset}-{seed}.json"
        if kept and kept.exists():
            found = json.loads(kept.read_text())
        else:
            found = trained(seed, given.patients, given.preset)
            if kept:
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(json.dumps(found))
        hospitals.append(found)
        print(f"\nseed {seed}\n\n{head}")
        print("\n".join(line(target, of) for target, of in found.items()), flush=True)
    print(f"\nmean of {len(hospitals)} hospitals ± standard error\n\n{head}")
    print("\n".join(summary(hospitals, target) for target in hospitals[0]))


if __name__ == "__main__":
    main()
