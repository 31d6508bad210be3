"""Flows that fail: what is tried again, what they say, and what they must not leave in Prefect."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from stence import scoring
from stence.errors import ConfigurationError, DatabaseUnavailableError, StenceError, StoreUnavailableError
from stence.objects import ObjectStore
from stence.settings import Settings
from support.champion import crown
from support.ecgs import manifest
from support.flows import eight_ecgs
from support.prefect_server import everything_prefect_holds, last_run, task_runs
from support.scoring import unmounted_after_a_claim

pytestmark = pytest.mark.slow  # with a Prefect server


@pytest.fixture
def store(
    engine: Engine, settings: Settings, prefect_database: Path, monkeypatch: pytest.MonkeyPatch
) -> ObjectStore:
    """A store with eight ECGs, one of them flat, that the flows find by their settings."""
    return eight_ecgs(settings, monkeypatch)


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
    with unmounted_after_a_claim(settings.data_dir / "store"), pytest.raises(StoreUnavailableError):
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

    logging.setLogRecordFactory(logging.LogRecord)  # the filter of logs is a layer of its own
    crown(engine, store, settings)
    monkeypatch.setattr(score.list_shadows, "retries", 0)
    for where in ((scoring, "open_run"), (score.registry, "shadows")):
        with monkeypatch.context() as patch:
            patch.setattr(*where, lambda *arguments: break_down())
            with pytest.raises(Exception, match=r"does not answer|KeyError at test_flow_errors.py:\d+"):
                score.score()
        assert last_run(client, "score").state.is_failed()
    held = everything_prefect_holds(prefect_database)
    assert "test_flow_errors.py" in held
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
