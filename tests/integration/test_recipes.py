"""Encoders on the input of their own authors, from imported weights to scores in Postgres."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, select

from stence import registry, scoring
from stence.database.tables import models, objects, quarantine, runs, scores
from stence.ecg.recipes import PUBLISHED
from stence.errors import StenceError
from stence.models import TARGET_NAMES
from stence.objects import ObjectStore
from stence.registry.artefact import Artefact
from stence.scoring import RunSummary
from stence.settings import Settings
from stence.training import SupervisedConfig, train
from stence.training.config import RetrainConfig
from stence.training.evaluation import find_champion
from support.ecgs import heartbeats
from support.encoders import SMALL
from support.pseudonyms import split_of
from support.published import NAMES, import_small
from support.toy_hospital import LENIENT, ToyHospital, is_ill, toy_ecg

SHORT = "short"
"""Patient with an ECG of 6 s."""


def config(encoder: str, **changes: object) -> SupervisedConfig:
    finetuning = {
        "encoder": encoder,
        "encoder_config": {name: size for name, size in SMALL[encoder].items() if name != "window_samples"},
        "epochs": 4,
        "warmup_epochs": 1,
        "patience": 4,
        "batch_size": 16,
        "encoder_rate": 5e-3,
        "head_rate": 5e-3,
    }
    return SupervisedConfig.model_validate(
        {"finetuning": finetuning | changes, "bootstrap_resamples": 100, "cpu_threads": 1, "gate": LENIENT}
    )


def trained(engine: Engine, store: ObjectStore, settings: Settings, config: SupervisedConfig) -> Artefact:
    version = train(engine, store, settings, config)
    with engine.connect() as connection:
        row = connection.execute(select(models.c.folder, models.c.sha256).filter_by(version=version)).one()
    return registry.read(store, *row)


def write_hospital(store: ObjectStore) -> None:
    """Every ECG lasts 10 s, but one 6 s."""
    hospital = ToyHospital(store)
    hospital.add_ecg(SHORT, "P0", heartbeats(4711, seconds=6))
    hospital.write()


def score_all(
    engine: Engine, store: ObjectStore, settings: Settings, model: registry.RiskScorer
) -> RunSummary:
    with scoring.open_run(engine, store, settings, model) as run:
        run.score()
    return run.summary()


def stored(engine: Engine, version: str) -> dict[str, tuple[str, dict[str, float]]]:
    """By the ECG's key, how it was prepared and the probability of each target."""
    asked = (objects.c.key, scores.c.preprocessing_version, *(scores.c[name] for name in TARGET_NAMES))
    joined = select(*asked).join(objects, objects.c.content_hash == scores.c.content_hash)
    with engine.connect() as connection:
        rows = connection.execute(joined.where(scores.c.model_version == version))
        return {
            key: (prepared, dict(zip(TARGET_NAMES, found, strict=True))) for key, prepared, *found in rows
        }


def refused(engine: Engine) -> list[tuple[str, str, str]]:
    """Key, reason and model of what is in quarantine."""
    asked = select(objects.c.key, quarantine.c.reason, runs.c.model_version).select_from(quarantine)
    joined = asked.join(objects).join(runs, runs.c.id == quarantine.c.run_id)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(joined.where(quarantine.c.state == "open"))]


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["ecgfounder", "xecg"])
def test_a_model_on_its_authors_input_scores_on_it_beside_one_on_stences(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoder: str,
) -> None:
    write_hospital(store)
    scoring.index(engine, store, settings)
    import_small(encoder, store, settings, tmp_path, monkeypatch)
    own = PUBLISHED[encoder]
    artefact = trained(engine, store, settings, config(encoder, recipe="published", weights=NAMES[encoder]))
    manifest = artefact.manifest
    assert manifest.preprocessing.model_dump() == {
        "recipe": encoder,
        "version": own.version,
        "sampling_rate": own.sampling_rate,
        "seconds": 10,
        "windows": 1,
    }
    assert manifest.architecture.config["window_samples"] == own.samples
    assert manifest.training_run["encoder_start"].startswith(NAMES[encoder])
    assert manifest.training_data.left_out == {"ecg_too_short": 1}
    others = trained(engine, store, settings, config(encoder)).manifest
    assert (others.preprocessing.recipe, others.preprocessing.windows) == ("stence", settings.windows_per_ecg)

    with engine.begin() as connection:
        registry.promote(connection, manifest.model_version, by="test", why="test")
    champion = registry.load_champion(engine, store, settings)
    summary = score_all(engine, store, settings, champion)
    assert (summary.scored, summary.quarantined) == (240, 1)

    found = stored(engine, champion.model_version)
    for number in (3, 4):
        prepared_as, probabilities = found[f"ecg/{number}.hea"]
        assert prepared_as == own.version
        millivolts = toy_ecg(number, ill=is_ill(number)).astype(np.float32) / 1000
        expected = champion.score(own.apply(millivolts)[None, None])
        np.testing.assert_allclose(list(probabilities.values()), expected[0], rtol=0, atol=2e-6)
    unseen = [number for number in range(240) if split_of(f"P{number}") == "test"]
    said = {
        ill: [found[f"ecg/{n}.hea"][1]["stenosis_70"] for n in unseen if is_ill(n) == ill] for ill in (0, 1)
    }
    assert min(said[True]) > np.median(said[False])

    with engine.connect() as connection:
        (shadow,) = (registry.load(each, store, settings) for each in registry.shadows(connection))
    assert score_all(engine, store, settings, shadow).scored == 241
    assert {prepared_as for prepared_as, _ in stored(engine, shadow.model_version).values()} == {
        "stence-500hz-3s-1"
    }
    assert refused(engine) == [(f"ecg/{SHORT}.hea", "too_short", champion.model_version)]

    retraining = RetrainConfig(backbone="ridges", **config(encoder).model_dump()).finetuning
    with pytest.raises(StenceError, match=f"input recipe {own.version}, .* uses stence-500hz-3s-1"):
        find_champion(engine, store, settings, retraining.input, settings.windows_per_ecg)
