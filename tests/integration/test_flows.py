"""The flows on a real Prefect server: what they do, what they leave there, and what they must not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, func, select, text, update

from stence import scoring
from stence.database.tables import flags, models, scores
from stence.objects import ObjectStore
from stence.settings import Settings
from support.champion import crown, enshadow
from support.database import tampering
from support.ecgs import heartbeats, manifest, store_ecg
from support.fhir import FhirServer
from support.flows import PATIENTS, eight_ecgs
from support.prefect_server import artifacts, everything_prefect_holds, last_run, task_runs
from support.waiting import wait_until

pytestmark = pytest.mark.slow  # with a Prefect server


@pytest.fixture
def store(
    engine: Engine, settings: Settings, prefect_database: Path, monkeypatch: pytest.MonkeyPatch
) -> ObjectStore:
    """A store with eight ECGs, one of them flat, that the flows find by their settings."""
    return eight_ecgs(settings, monkeypatch)


def test_a_score_run(
    client: Any, engine: Engine, settings: Settings, store: ObjectStore, prefect_database: Path
) -> None:
    from stence.flows.score import score

    crown(engine, store, settings, "model-7")
    counts = score()
    assert counts == {"indexed": 8, "scored": 7, "quarantined": 1, "pending": 0}

    run = last_run(client, "score")
    assert run.state.is_completed()
    assert run.name.startswith("score-20")
    names = sorted(task.name for task in task_runs(client, run))
    assert names == [
        "index",
        "list-shadows",
        "load-model",
        *(f"score-batch-{number}" for number in range(1, 5)),
        "write-pages",
        "write-ward-list",
    ]
    left = artifacts(client, run)
    assert left.keys() == {"score-counts", "score-pages", "score-run"}
    assert "pages/ward-list.html" in left["score-pages"]
    assert '"indexed"' in left["score-counts"]
    assert "model-7" in left["score-run"]

    assert score() == counts
    held = everything_prefect_holds(prefect_database)
    assert "indexed 8 = scored 7" in held
    assert "PAT-" not in held
    assert "rest.hea" not in held


def test_new_ecgs_are_scored_by_the_hour_and_the_archive_in_the_time_it_is_given(
    client: Any, engine: Engine, settings: Settings, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stence.flows.archive import archive
    from stence.flows.score import score

    scoring.index(engine, store, settings)
    crown(engine, store, settings, "model-7")
    assert score(portion="new") == {"indexed": 8, "scored": 0, "quarantined": 0, "pending": 8}
    store_ecg(store, f"ecg/{PATIENTS[1]}/later.hea", heartbeats(99))
    rows = [(patient, "2026-03-01 08:30:00", f"{patient}/rest") for patient in PATIENTS]
    store.put(
        "ecg/record_list.csv", manifest([*rows, (PATIENTS[1], "2026-03-02 08:30:00", f"{PATIENTS[1]}/later")])
    )
    assert score(portion="new") == {"indexed": 9, "scored": 1, "quarantined": 0, "pending": 8}

    monkeypatch.setenv("STENCE_ARCHIVE_MINUTES", "0")
    assert archive() == {}
    assert scored_by(engine) == {"model-7": 1}
    monkeypatch.setenv("STENCE_ARCHIVE_MINUTES", "5")
    assert archive() == {"indexed": 9, "scored": 8, "quarantined": 1, "pending": 0}
    run = last_run(client, "archive")
    assert {task.name for task in task_runs(client, run)} >= {"load-model", "score-batch-1", "list-shadows"}
    assert artifacts(client, run).keys() == {"archive-counts", "archive-run"}


def test_a_score_run_with_two_workers_gives_the_same_counts(
    client: Any, engine: Engine, settings: Settings, store: ObjectStore
) -> None:
    from stence.flows.score import score

    crown(engine, store, settings, "model-7")
    assert score(workers=2) == {"indexed": 8, "scored": 7, "quarantined": 1, "pending": 0}
    names = {task.name for task in task_runs(client, last_run(client, "score"))}
    assert "score-with-2-workers" in names
    assert "score-batch-1" not in names


def test_flagged_ecgs_have_pages_and_prefect_has_counts_and_the_lists_address_only(
    client: Any, engine: Engine, settings: Settings, store: ObjectStore, prefect_database: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from stence.flows.score import score

    crown(engine, store, settings, "model-7", threshold=0)
    monkeypatch.setenv("STENCE_PAGES_PER_RUN", "2")
    store.delete(f"ecg/{PATIENTS[1]}/rest.dat")
    score()
    left = artifacts(client, last_run(client, "score"))
    assert "pages written: 2" in left["score-pages"]
    assert "wait for a page: 4" in left["score-pages"]
    list_of_patients = store.get("pages/ward-list.html").decode()
    assert list_of_patients.count('href="model-7/') == 2
    held = everything_prefect_holds(prefect_database)
    assert "PAT-" not in held
    assert "rest.hea" not in held
    monkeypatch.setenv("STENCE_PAGES_PER_RUN", "0")
    score()
    assert "score-pages" not in artifacts(client, last_run(client, "score"))


def test_pages_that_cannot_be_written_stop_neither_the_run_nor_the_shadows(
    client: Any, engine: Engine, settings: Settings, store: ObjectStore
) -> None:
    from stence.flows.score import score

    crown(engine, store, settings, "model-7", threshold=0)
    enshadow(engine, store, settings, "shade", threshold=0)
    store.put("pages", b"a file where the folder should be")
    score()
    run = last_run(client, "score")
    assert run.state.is_completed()
    assert {task.name for task in task_runs(client, run) if task.state.is_failed()} == {"write-pages"}
    assert scored_by(engine) == {"model-7": 7, "shade": 7}


def test_shadows_score_after_the_champion_without_flags_and_a_broken_one_stops_nobody(
    client: Any, engine: Engine, settings: Settings, store: ObjectStore
) -> None:
    from stence.flows.score import score

    crown(engine, store, settings, "model-7", threshold=0)
    for version in ("broken", "shade"):
        enshadow(engine, store, settings, version, threshold=0)
    store.delete("models/broken/model.safetensors")

    assert score() == {"indexed": 8, "scored": 7, "quarantined": 1, "pending": 0}

    run = last_run(client, "score")
    assert run.state.is_completed()
    failed = {task.name for task in task_runs(client, run) if task.state.is_failed()}
    assert failed == {"load-shadow-broken"}
    assert scored_by(engine) == {"model-7": 7, "shade": 7}
    assert flagged_by(engine) == {"model-7"}
    left = artifacts(client, run)
    assert "model-7" in left["score-run"]
    assert "shade" in left["shadow-run"]


def test_a_due_shadow_is_promoted_by_itself_only_where_the_settings_say_so(
    client: Any, engine: Engine, settings: Settings, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stence.flows.score import score

    monkeypatch.setenv("STENCE_SHADOW_DAYS", "0")
    crown(engine, store, settings, "model-7", threshold=0)
    enshadow(engine, store, settings, "shade", threshold=0)
    score()
    better = text("UPDATE models SET manifest = jsonb_set(manifest, '{gate}', '{\"better\": true}')")
    with tampering(engine) as connection:
        connection.execute(better)
    with monkeypatch.context() as patch:
        patch.setattr("stence.training.promotion.MIN_PATIENTS", 5)
        score()
    assert flagged_by(engine) == {"model-7"}, "nobody asked for it"
    monkeypatch.setenv("STENCE_AUTO_PROMOTE", "true")
    score()
    assert flagged_by(engine) == {"model-7"}, "seven ECGs are no evidence"
    monkeypatch.setattr("stence.training.promotion.MIN_PATIENTS", 5)
    score()
    assert flagged_by(engine) == {"model-7", "shade"}
    assert "shade" in artifacts(client, last_run(client, "score"))["score-run"]


@pytest.mark.parametrize("server", ["none", "wrong"])
def test_a_score_run_tells_and_exports_its_flags_where_the_settings_say_so(
    client: Any,
    engine: Engine,
    settings: Settings,
    store: ObjectStore,
    prefect_database: Path,
    monkeypatch: pytest.MonkeyPatch,
    fhir_server: FhirServer,
    server: str,
) -> None:
    from stence.flows.score import score

    crown(engine, store, settings, f"model-{server}", threshold=0)
    monkeypatch.setenv("STENCE_AUTO_EXPORT", "fhir")
    if server == "wrong":
        monkeypatch.setenv("STENCE_FHIR_URL", f"{fhir_server.url}/nothing/here")
    assert score()["scored"] == 7
    run = last_run(client, "score")
    assert run.state.is_completed()
    assert "export-flags" in {task.name for task in task_runs(client, run)}
    with engine.connect() as connection:
        raised = connection.scalar(select(func.count()).select_from(flags))
    assert len(list(store.list("export/fhir/"))) == (raised if server == "none" else 0)
    wait_until(lambda: f"stence.flags.model-{server}" in everything_prefect_holds(prefect_database))
    held = everything_prefect_holds(prefect_database)
    assert ("exported flags: " if server == "none" else "The export of flags failed: ") in held
    assert "PAT-" not in held


def scored_by(engine: Engine) -> dict[str, int]:
    statement = select(scores.c.model_version, func.count()).group_by(scores.c.model_version)
    with engine.connect() as connection:
        return dict(tuple(row) for row in connection.execute(statement))


def flagged_by(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.scalars(select(flags.c.model_version)))


def test_an_ingest_run(client: Any, store: ObjectStore, prefect_database: Path) -> None:
    from stence.flows.ingest import ingest

    assert ingest()["new"] == 8
    run = last_run(client, "ingest")
    assert run.name.startswith("ingest-20")
    assert artifacts(client, run).keys() == {"ingest-counts"}
    assert "PAT-" not in everything_prefect_holds(prefect_database)


def test_a_run_by_hand_has_the_tags_that_automations_match(
    client: Any, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stence.cli import runs

    monkeypatch.setattr(runs, "ensure_server", lambda _: None)
    assert CliRunner().invoke(runs.ingest).exit_code == 0
    assert set(last_run(client, "ingest").tags) == {"stence", "ingest"}


def test_an_ingest_run_tells_that_score_runs_do_not_come(
    client: Any, engine: Engine, settings: Settings, store: ObjectStore, prefect_database: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Every hour, and also where the alert rules are wrong it indexes."""
    from stence.flows.ingest import ingest

    crown(engine, store, settings, "model-7")
    with tampering(engine) as connection:
        connection.execute(update(models).values(created_at=func.now() - timedelta(hours=5)))
    assert ingest()["new"] == 8
    assert "alert 1 opened, critical: no_run" in everything_prefect_holds(prefect_database)
    broken = settings.data_dir / "rules.yaml"
    broken.write_text("no_run: 3")
    monkeypatch.setenv("STENCE_ALERT_RULES", str(broken))
    assert ingest()["new"] == 0
    assert last_run(client, "ingest").state.is_completed()
