"""The retrain flow on a real Prefect server: what it does, what it leaves there, and what it must not."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from httpx import ConnectError
from sqlalchemy import Engine, select

from stence.database.tables import cath_studies, models, study_embeddings, training_runs
from stence.errors import ConfigurationError, DatabaseUnavailableError, StenceError
from stence.objects import ObjectStore, open_store
from stence.registry import read_card
from stence.settings import Settings
from stence.training import load_preset, open_retraining
from support.environment import set_environment
from support.prefect_server import artifacts, everything_prefect_holds, last_run, task_runs
from support.toy_hospital import PATIENTS, QUICK, ToyHospital, toy_ecg

FEW_EPOCHS = QUICK.replace("epochs: 8,", "epochs: 2,").replace("epochs: 8\n", "epochs: 2\n") + "seeds: 2\n"
PREFIX = "PAT-7000"
"""Of patients' ids; it stands in those of their studies and in keys too."""
STAGES = ("teacher", "pretraining", "finetuning")


@pytest.fixture
def store(
    engine: Engine, settings: Settings, prefect_database: Path, monkeypatch: pytest.MonkeyPatch
) -> ObjectStore:
    """The toy hospital's store, and a quick preset, that the flow finds by its settings."""
    set_environment(monkeypatch, settings)
    preset = settings.data_dir / "quick.yaml"
    preset.write_text(FEW_EPOCHS)
    monkeypatch.setenv("STENCE_PRESET", str(preset))
    monkeypatch.setenv("STENCE_OUTAGE_SECONDS", "0")
    store = open_store(settings.resolved_store_url, settings)
    place = ToyHospital(store, prefix=PREFIX)
    place.add_ecg("without a study", f"{PREFIX}-nobody", toy_ecg(9999, ill=False))
    place.write()
    return store


@pytest.fixture
def filmed(store: ObjectStore) -> None:
    """An angiogram of each study."""
    ToyHospital(store, prefix=PREFIX).add_angiograms()


def runs(engine: Engine) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        rows = connection.execute(select(training_runs).order_by(training_runs.c.started_at))
        return [dict(row) for row in rows.mappings()]


def states(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return dict(tuple(row) for row in connection.execute(select(models.c.version, models.c.state)))


@pytest.mark.slow
def test_too_few_new_pairs_make_no_training_and_say_so(
    client: Any, engine: Engine, filmed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stence.flows.retrain import retrain

    monkeypatch.setenv("STENCE_MIN_NEW_PAIRS", str(PATIENTS + 1))
    reason = retrain()["reason"]
    assert reason == (
        f"{PATIENTS} new pairs of an ECG and an angiogram since the last training; "
        f"STENCE_MIN_NEW_PAIRS asks for {PATIENTS + 1}"
    )
    (row,) = runs(engine)
    assert (row["state"], row["reasons"], row["new_pairs"]) == ("skipped", [reason], PATIENTS)
    assert row["finished_at"] is not None
    run = last_run(client, "retrain")
    assert run.state.is_completed()
    assert artifacts(client, run)["retrain-outcome"] == f"**Skipped**: {reason}"
    assert states(engine) == {}


@pytest.mark.slow
def test_a_retraining_leaves_a_judged_model_and_no_identifier_in_prefect(
    client: Any, engine: Engine, filmed: None, prefect_database: Path
) -> None:
    from stence.flows.retrain import retrain

    outcome = retrain()
    run = last_run(client, "retrain")
    assert run.state.is_completed()
    names = {task.name for task in task_runs(client, run)}
    assert names >= {
        "prepare-angiograms",
        "gather",
        *(f"train-{stage}" for stage in STAGES),
        "judge",
        "publish",
    }

    assert states(engine) == {outcome["version"]: outcome["outcome"]}
    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    with engine.connect() as connection:
        card = read_card(connection, store, outcome["version"])
    assert card["attention.png"].startswith(b"\x89PNG")
    assert b"Where the teacher looks" in card["card.md"]
    assert b"2 fine-tunings that differ by their seed only" in card["card.md"]
    assert (outcome["outcome"] == "rejected") == bool(outcome["reasons"])
    (row,) = runs(engine)
    ended = {name: row[name] for name in ("state", "model_version", "outcome", "reasons", "error")}
    assert ended == {
        "state": "finished",
        "model_version": outcome["version"],
        "outcome": outcome["outcome"],
        "reasons": outcome["reasons"],
        "error": None,
    }
    assert row["figures"].keys() >= {"stenosis_70", "teacher", "retrieval", "screened"}
    assert len(row["figures"]["seeds"]["stenosis_70"]) == 2

    neighbours = row["figures"]["shared_space"]["neighbours"]
    with engine.connect() as connection:
        kept = set(connection.scalars(select(study_embeddings.c.study_id)))
        trained = set(
            connection.scalars(select(cath_studies.c.study_id).where(cath_studies.c.split == "train"))
        )
    assert (kept == trained) == (outcome["outcome"] != "rejected")
    assert neighbours["studies"] == len(trained)
    assert b"similar studies are" in card["card.md"]

    left = artifacts(client, run)
    for stage in STAGES:
        assert left[f"retrain-{stage}"] == 100
        assert [epoch["epoch"] for epoch in json.loads(left[f"retrain-{stage}-course"])] == [1, 2]
    assert left["retrain-angiograms"] == left["retrain-features"] == left["retrain-screened"] == 100
    assert outcome["version"] in left["retrain-outcome"]

    held = everything_prefect_holds(prefect_database)
    assert "epoch 2: loss" in held, "the log lines are not there"
    for identifier in (PREFIX, "1.2.826.0.", ".dcm"):
        assert identifier not in held


@pytest.mark.slow
def test_no_second_retraining_beside_one_at_work(
    client: Any, engine: Engine, settings: Settings, store: ObjectStore
) -> None:
    from stence.flows.retrain import retrain

    config = load_preset(str(settings.data_dir / "quick.yaml"))
    settings = settings.model_copy(update={"lease_seconds": 2})
    with open_retraining(engine, store, settings, "quick", config):
        with pytest.raises(StenceError, match="A retraining is at work already: wait for its end"):
            retrain()
        assert [row["state"] for row in runs(engine)] == ["running"]
    assert last_run(client, "retrain").state.is_failed()


@pytest.mark.slow
def test_a_step_is_tried_again_after_an_outage_and_the_last_error_stands_in_the_run(
    client: Any, engine: Engine, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stence.flows.retrain import gather, retrain
    from stence.training import retrain as library

    faults = [ConfigurationError("the folder is not to be written"), DatabaseUnavailableError("it is away")]

    def fail(*arguments: Any) -> None:
        raise faults.pop()

    monkeypatch.setenv("STENCE_MIN_NEW_PAIRS", "0")
    monkeypatch.setattr(library, "gather_angiograms", fail)
    monkeypatch.setattr(gather, "retry_delay_seconds", [0.1, 0.1, 0.1])
    with pytest.raises(ConfigurationError):
        retrain()
    tried = {task.name: task.run_count for task in task_runs(client, last_run(client, "retrain"))}
    assert (tried["prepare-angiograms"], tried["gather"]) == (1, 2)
    (row,) = runs(engine)
    assert (row["state"], row["stage"], row["error"]) == (
        "failed",
        "gather",
        "the folder is not to be written",
    )


@pytest.mark.slow
def test_a_prefect_server_that_is_away_ends_no_training(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect import flow

    from stence.flows import retrain as module

    def be_away(*arguments: Any, **options: Any) -> None:
        raise ConnectError("refused")

    monkeypatch.setattr(module, "create_progress_artifact", be_away)

    @flow(name="bar", persist_result=False)
    def told() -> str:
        bar = module.Bar()
        for epoch in (1, 2):
            bar("teacher", epoch, 2, f"epoch {epoch}")
        return "goes on"

    assert told() == "goes on"


@pytest.mark.slow
@pytest.mark.parametrize(("minimum", "enough"), [(0, True), (1, False)])
def test_as_many_new_pairs_as_are_asked_for_are_enough(
    engine: Engine, settings: Settings, minimum: int, enough: bool
) -> None:
    store = open_store(settings.resolved_store_url, settings)
    asked = settings.model_copy(update={"min_new_pairs": minimum})
    with open_retraining(engine, store, asked, "small", load_preset("small")) as training:
        assert (training.skip_reason() is None) == enough


@pytest.mark.slow
def test_what_fails_after_the_end_of_a_run_is_written_changes_nothing(
    engine: Engine, settings: Settings
) -> None:
    store = open_store(settings.resolved_store_url, settings)
    with (
        suppress(ZeroDivisionError),
        open_retraining(engine, store, settings, "small", load_preset("small")) as training,
    ):
        assert training.skip_reason() is not None
        raise ZeroDivisionError
    (row,) = runs(engine)
    assert (row["state"], row["error"]) == ("skipped", None)
