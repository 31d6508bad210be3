"""Patients who were never referred are drawn from the store, and a model's scores are made for everybody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, select

from stence import scoring
from stence.cohort import plan_cohort
from stence.cohort.unreferred import Unreferred, gather_unreferred
from stence.database.tables import models
from stence.ecg import Recording
from stence.ecg.recipes import STENCE
from stence.models import clinical_values
from stence.objects import ObjectStore
from stence.progress import silent
from stence.registry.artefact import read, scorer
from stence.settings import Settings
from stence.training import SupervisedConfig, TrainingConfig, train
from support.ecgs import heartbeats
from support.toy_hospital import ToyHospital, toy_ecg

CONFIG = SupervisedConfig(
    finetuning=TrainingConfig(
        encoder_config={"width": 16, "depth": 1, "heads": 1},
        epochs=2,
        warmup_epochs=1,
        patience=2,
        batch_size=16,
        encoder_rate=5e-3,
        head_rate=5e-3,
    ),
    bootstrap_resamples=100,
)


def hospital(store: ObjectStore, referred: int, healthy: int) -> ToyHospital:
    """Patients with a study, and healthy ones without."""
    found = ToyHospital(store, referred)
    for number in range(healthy):
        found.add_ecg(f"h{number}", f"H{number}", toy_ecg(5000 + number, ill=False))
    return found


def gathered(
    engine: Engine, store: ObjectStore, settings: Settings, folder: Path, limit: int = 100
) -> Unreferred:
    scoring.index(engine, store, settings)
    plan = plan_cohort(engine, store, settings, 30, silent)
    return gather_unreferred(plan, engine, store, settings, folder, silent, STENCE, limit)


def test_one_ecg_of_each_patient_without_a_study_is_drawn(
    engine: Engine, store: ObjectStore, settings: Settings, tmp_path: Path
) -> None:
    place = hospital(store, 6, 4)
    place.add_ecg("h0 again", "H0", toy_ecg(6000, ill=False))
    place.add_ecg("h1 long ago", "H9", toy_ecg(6001, ill=False), days_before=400)
    place.write()
    found = gathered(engine, store, settings, tmp_path / "drawn")
    assert (len(found.part), found.unreferred_patients, found.referred_patients) == (4, 4, 6)
    assert found.share_referred == 0.6
    assert found.part.signals.shape[1:] == (settings.windows_per_ecg, 12, STENCE.samples)
    assert np.isnan(found.part.labels).all()


def test_an_unusable_ecg_is_left_out_and_counted_and_its_neighbours_are_kept(
    engine: Engine, store: ObjectStore, settings: Settings, tmp_path: Path
) -> None:
    place = hospital(store, 2, 3)
    place.add_ecg("flat", "H8", np.zeros_like(toy_ecg(1, ill=False)))
    place.write()
    found = gathered(engine, store, settings, tmp_path / "drawn")
    assert (len(found.part), found.left_out) == (3, 1)


def test_no_more_than_asked_for_are_drawn_and_a_complete_folder_is_only_read(
    engine: Engine, store: ObjectStore, settings: Settings, tmp_path: Path
) -> None:
    hospital(store, 2, 5).write()
    found = gathered(engine, store, settings, tmp_path / "drawn", limit=3)
    assert (len(found.part), found.unreferred_patients) == (3, 5)
    again = gathered(engine, store, settings, tmp_path / "drawn", limit=0)
    assert again.part.contents == found.part.contents
    assert not len(gathered(engine, store, settings, tmp_path / "none", limit=0).part)


@pytest.mark.slow
def test_scores_and_thresholds_are_made_for_everybody_screened(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    hospital(store, 240, 240).write()
    scoring.index(engine, store, settings)
    version = train(engine, store, settings, CONFIG)
    with engine.connect() as connection:
        row = connection.execute(select(models.c.folder, models.c.sha256).filter_by(version=version)).one()
    manifest = read(store, *row).manifest
    shown = manifest.metrics["screened"]
    over_70 = shown["prevalence"]["stenosis_70"]
    assert (shown["unreferred_patients"], shown["share_referred"]) == (240, 0.5)
    assert over_70["value"] < 0.35 < manifest.metrics["stenosis_70"]["prevalence"]["value"]
    assert over_70["lower"] <= 0.25 <= over_70["upper"]
    assert shown["targets"]["stenosis_70"]["prevalence"]["value"] == pytest.approx(over_70["value"], abs=0.05)
    assert len(manifest.calibration_draws) > 20
    sure = manifest.metrics["certainty"]
    assert sure["draws"] == len(manifest.calibration_draws)
    assert 0.02 < sure["mean_width"] < 0.6
    assert sure["groups_held"] >= 3
    model = scorer(read(store, *row), "cpu")
    windows = model.prepare(Recording(heartbeats(1) / np.float32(1000), 500))[None]
    scores = model.embed_and_score(windows, clinical_values([None], [None]))
    assert scores.lower[0, 0] < scores.upper[0, 0]
    assert 0 <= scores.novelty[0] <= 100
    threshold = manifest.thresholds["stenosis_70"]
    assert "who stand for 50% of everybody screened, and 240 without a study" in threshold.rule
