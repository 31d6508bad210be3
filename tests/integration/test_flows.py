"""The flows on a real Prefect server: what they do, what they leave there, and what they must not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, func, select, text, update

from stence import scoring
from stence.database.tables import flags, models, scores
from stence.errors import ConfigurationError, DatabaseUnavailableError, StenceError, StoreUnavailableError
from stence.objects import ObjectStore, open_store
from stence.scoring.work import Claim, Worklist
from stence.settings import Settings
from support.champion import crown, enshadow
from support.database import tampering
from support.ecgs import heartbeats, manifest, store_ecg
from support.environment import set_environment
from support.fhir import FhirServer
from support.prefect_server import artifacts, everything_prefect_holds, last_run, task_runs
from support.waiting import wait_until

PATIENTS = [f"PAT-{number:08}" for number in range(70_000_001, 70_000_009)]


@pytest.fixture
def store(
    engine: Engine, settings: Settings, prefect_database: Path, monkeypatch: pytest.MonkeyPatch
) -> ObjectStore:
    """A store with eight ECGs, one of them flat, that the flows find by their settings."""
    set_environment(monkeypatch, settings)
    monkeypatch.setenv("STENCE_OUTAGE_SECONDS", "0")
    monkeypatch.setenv("STENCE_SHARD_SIZE", "3")
    store = open_store(settings.resolved_store_url, settings)
    for number, patient in enumerate(PATIENTS):
        signal = heartbeats(number) if number else np.zeros((12, 5000), np.int16)
        store_ecg(store, f"ecg/{patient}/rest.hea", signal)
    rows = [(patient, "2026-03-01 08:30:00", f"{patient}/rest") for patient in PATIENTS]
    store.put("ecg/record_list.csv", manifest(rows))
    return store


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


@pytest.mark.slow
def test_a_score_run_with_two_workers_gives_the_same_counts(
    client: Any, engine: Engine, settings: Settings, store: ObjectStore
) -> None:
    from stence.flows.score import score

    crown(engine, store, settings, "model-7")
    assert score(workers=2) == {"indexed": 8, "scored": 7, "quarantined": 1, "pending": 0}
    names = {task.name for task in task_runs(client, last_run(client, "score"))}
    assert "score-with-2-workers" in names
    assert "score-batch-1" not in names


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_due_shadow_is_promoted_by_itself_only_where_the_settings_say_so(
    client: Any, engine: Engine, settings: Settings, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stence.flows.score import score

    monkeypatch.setenv("STENCE_SHADOW_DAYS", "0")
    crown(engine, store, settings, "model-7", threshold=0)
    enshadow(engine, store, settings, "shade", threshold=0)
    score()
    assert flagged_by(engine) == {"model-7"}
    monkeypatch.setenv("STENCE_AUTO_PROMOTE", "true")
    better = text("UPDATE models SET manifest = jsonb_set(manifest, '{gate}', '{\"better\": true}')")
    with tampering(engine) as connection:
        connection.execute(better)
    score()
    assert flagged_by(engine) == {"model-7"}, "seven ECGs are no evidence"
    monkeypatch.setattr("stence.training.promotion.MIN_PATIENTS", 5)
    score()
    assert flagged_by(engine) == {"model-7", "shade"}
    assert "shade" in artifacts(client, last_run(client, "score"))["score-run"]


@pytest.mark.slow
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


def test_a_run_without_a_champion_says_what_to_do_and_is_not_tried_again(
    client: Any, store: ObjectStore
) -> None:
    from stence.errors import RegistryError
    from stence.flows.score import score

    with pytest.raises(RegistryError, match="stence models promote"):
        score()
    run = last_run(client, "score")
    assert run.state.is_failed()
    assert {task.name: task.run_count for task in task_runs(client, run)} == {"index": 1, "load-model": 1}


@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        (StoreUnavailableError("the store does not answer"), 2),
        (DatabaseUnavailableError("Postgres does not answer"), 2),
        (ConfigurationError("the secret key is wrong"), 1),
        (ZeroDivisionError("a bug"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_outages_are_tried_again(
    client: Any, store: ObjectStore, monkeypatch: pytest.MonkeyPatch, fault: Exception, tries: int
) -> None:
    from stence.flows.discretion import UnexpectedError
    from stence.flows.ingest import index, ingest

    faults = [fault]
    really_index = scoring.index

    def index_with_fault(*arguments: Any) -> scoring.IndexSummary:
        if faults:
            raise faults.pop()
        return really_index(*arguments)

    monkeypatch.setattr(scoring, "index", index_with_fault)
    monkeypatch.setattr(index, "retry_delay_seconds", [0.1, 0.1, 0.1])
    if tries == 1:
        with pytest.raises(type(fault) if isinstance(fault, StenceError) else UnexpectedError):
            ingest()
    else:
        assert ingest()["new"] == 8
    tried = {task.name: task.run_count for task in task_runs(client, last_run(client, "ingest"))}
    assert tried["index"] == tries


def test_an_outage_of_the_store_leaves_no_identifier_in_prefect(
    client: Any, engine: Engine, settings: Settings, store: ObjectStore, prefect_database: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from stence.flows.score import score, score_batch

    crown(engine, store, settings)
    monkeypatch.setattr(score_batch, "retries", 0)
    root, claim = settings.data_dir / "store", Worklist.claim

    def claim_from_a_lost_store(self: Worklist, limit: int) -> list[Claim]:
        claims = claim(self, limit)
        root.rename(root.with_name("unmounted"))
        return claims

    monkeypatch.setattr(Worklist, "claim", claim_from_a_lost_store)
    with pytest.raises(StoreUnavailableError):
        score()
    assert last_run(client, "score").state.is_failed()
    assert "PAT-" not in everything_prefect_holds(prefect_database)


NAMED = "ecg/PAT-OROURKE^NIAMH/rest.dat"


def lost_with_its_cause() -> None:
    try:
        Path(f"/no/{NAMED}").read_bytes()
    except OSError as error:
        raise StoreUnavailableError("the store does not answer") from error


def bug_with_a_key() -> None:
    raise KeyError(NAMED)


@pytest.mark.parametrize("break_down", [lost_with_its_cause, bug_with_a_key])
def test_no_error_takes_a_name_into_prefect(
    client: Any, engine: Engine, settings: Settings, store: ObjectStore, prefect_database: Path,
    monkeypatch: pytest.MonkeyPatch, break_down: Callable[[], None],
) -> None:  # fmt: skip
    """Neither as the message of one that nobody foresaw, nor as that of a cause; in a task or the flow."""
    from stence.flows import score

    crown(engine, store, settings)
    monkeypatch.setattr(score.list_shadows, "retries", 0)
    for where in ((scoring, "open_run"), (score.registry, "shadows")):
        with monkeypatch.context() as patch:
            patch.setattr(*where, lambda *arguments: break_down())
            with pytest.raises(Exception, match=r"does not answer|KeyError at test_flows.py:\d+"):
                score.score()
        assert last_run(client, "score").state.is_failed()
    held = everything_prefect_holds(prefect_database)
    assert "test_flows.py" in held
    assert "OROURKE" not in held


def test_no_log_line_takes_a_name_into_prefect(
    client: Any, store: ObjectStore, prefect_database: Path
) -> None:
    """Manifests, reports and their rows are told by number; what they are called and hold is not."""
    from stence.flows.ingest import ingest

    row = ("PAT-OROURKE^NIAMH", "2026-03-01 08:30:00", "")
    store.put("ecg/PAT-OROURKE^NIAMH/record_list.csv", manifest([row, row]))
    store.put("reports/PAT-OROURKE^NIAMH.csv", b"PAT-OROURKE^NIAMH,1\n")
    ingest()
    held = everything_prefect_holds(prefect_database)
    assert "rows taken up, 2 refused" in held
    assert "'file_column_missing': 1" in held.replace("''", "'")
    assert "OROURKE" not in held
    assert "PAT-" not in held
