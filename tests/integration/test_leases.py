"""Leases: a run that is dead is found out, one that is alive is not, and one that was cut off ends itself."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine, Table, func, insert, select, text, update

from stence import scoring
from stence.database.leases import WITHOUT_A_WORD, kept_alive, lease_end
from stence.database.tables import models, monitor_runs, objects, runs, scores, training_runs, worklist
from stence.errors import LeaseLostError, MonitoringError, StenceError
from stence.monitoring.daily import complete_days, watch
from stence.objects import ObjectStore
from stence.scoring.work import Worklist
from stence.settings import Settings
from stence.training.journal import entered
from support.database import tampering
from support.ecgs import heartbeats, store_ecg
from support.models import ShapeScorer, register
from support.processes import start_scorer
from support.scoring import all_rows, run_scorer
from support.waiting import wait_until

ECGS = 24
FILES = 5

RETRAINING = """
import sys
from stence import database
from stence.settings import Settings
from stence.training.journal import entered

settings = Settings()
with database.connect(settings) as engine, entered(engine, "small", {}, settings) as journal:
    print("at work", flush=True)
    while True:
        journal.check()
"""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Leases that run out in a second."""
    return settings.model_copy(update={"lease_seconds": 1, "batch_size": 4, "prefetch_batches": 1})


@pytest.fixture
def archive(engine: Engine, store: ObjectStore, settings: Settings) -> None:
    """ECGs that are indexed and on the worklist of ``shape-1``."""
    for number in range(ECGS):
        store_ecg(store, f"ecg/{number}.hea", heartbeats(number), comments=(f"<subject_id>: {number}",))
    register(engine, ShapeScorer())
    scoring.index(engine, store, settings)


@pytest.fixture
def worklists(engine: Engine, store: ObjectStore, settings: Settings) -> list[Worklist]:
    """The same files as two runs of ``shape-1`` and one of ``shape-2`` see them."""
    for number in range(FILES):
        store.put(f"ecg/{number}.dcm", b"")
    for version in ("shape-1", "shape-2"):
        register(engine, ShapeScorer(version))
    scoring.index(engine, store, settings)
    long = settings.model_copy(update={"lease_seconds": 60})
    made = [Worklist(engine, long, version, uuid.uuid4()) for version in ("shape-1", "shape-1", "shape-2")]
    for each in made:
        each.enqueue()
    return made


def let_run_out(engine: Engine) -> None:
    """End every lease of the worklist now."""
    with tampering(engine) as connection:
        connection.execute(
            update(worklist).where(worklist.c.state == "leased").values(lease_expires_at=lease_end(-1))
        )


def are_over(engine: Engine, table: Table) -> bool:
    """Whether no lease of the table runs any more, by the database's clock."""
    running = select(func.count()).where(table.c.lease_expires_at >= func.clock_timestamp())
    with engine.connect() as connection:
        return connection.scalar(running) == 0


@pytest.mark.slow
def test_the_next_run_of_any_model_closes_the_row_of_a_killed_one(
    engine: Engine, store: ObjectStore, settings: Settings, archive: None
) -> None:
    killed = start_scorer(settings, seconds_per_batch=60)
    killed.kill()
    killed.join()
    assert all_rows(engine, runs.c.state) == [("running",)]
    wait_until(lambda: are_over(engine, runs))

    run_scorer(engine, store, settings, ShapeScorer("shape-2"))

    ended = {
        row[0]: row[1:]
        for row in all_rows(engine, runs.c.model_version, runs.c.state, runs.c.error, runs.c.lease_expires_at)
    }
    assert ended == {"shape-1": ("abandoned", WITHOUT_A_WORD, None), "shape-2": ("finished", None, None)}
    assert all(row[0] for row in all_rows(engine, runs.c.finished_at > runs.c.started_at))


@pytest.mark.slow
def test_a_run_that_is_slow_is_not_closed(
    engine: Engine, store: ObjectStore, settings: Settings, archive: None
) -> None:
    with scoring.open_run(engine, store, settings, ShapeScorer()) as slow:
        [(first,)] = all_rows(engine, runs.c.lease_expires_at)
        wait_until(lambda: all_rows(engine, func.clock_timestamp() > first) == [(True,)])
        run_scorer(engine, store, settings, ShapeScorer("shape-2"))
        assert ("shape-1", "running") in all_rows(engine, runs.c.model_version, runs.c.state)
        slow.score()
    assert all_rows(engine, runs.c.state) == [("finished",)] * 2


@pytest.mark.parametrize("lease", ["now() - interval '1 second'", "NULL"])
def test_the_next_monitoring_closes_the_row_of_a_killed_one(
    engine: Engine, settings: Settings, lease: str
) -> None:
    dead = {"id": uuid.uuid4(), "state": "running", "days": 1, "lease_expires_at": text(lease)}
    alive = {"id": uuid.uuid4(), "state": "running", "days": 1, "lease_expires_at": lease_end(60)}
    with tampering(engine) as connection:
        for row in (dead, alive):
            connection.execute(insert(monitor_runs).values(row))
    with pytest.raises(MonitoringError, match="No model is champion"):
        watch(engine, settings, complete_days(settings))
    ended = {
        row[0]: row[1:]
        for row in all_rows(engine, monitor_runs.c.id, monitor_runs.c.state, monitor_runs.c.error)
    }
    assert ended[dead["id"]] == ("abandoned", WITHOUT_A_WORD)
    assert ended[alive["id"]] == ("running", None)
    assert sorted(state for state, _ in ended.values()) == ["abandoned", "failed", "running"]


@pytest.mark.slow
def test_leases_are_renewed_after_any_error(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    archive: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with scoring.open_run(engine, store, settings, ShapeScorer()):
        with tampering(engine) as connection:
            connection.execute(text("ALTER TABLE worklist RENAME TO mislaid"))
        wait_until(lambda: "has run out: others may take its work over" in caplog.text)
        assert 'could not be renewed, trying again: relation "worklist" does not exist' in caplog.text
        assert are_over(engine, runs)
        with tampering(engine) as connection:
            connection.execute(text("ALTER TABLE mislaid RENAME TO worklist"))
        wait_until(lambda: not are_over(engine, runs))


def test_an_error_that_is_none_of_postgres_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def renew() -> None:
        calls.append(1)
        if len(calls) < 3:
            raise RuntimeError("patient p1234567")

    with kept_alive(renew, 0.03, "this test"):
        wait_until(lambda: len(calls) > 5, 20)
    assert caplog.text.count("could not be renewed, trying again: RuntimeError") == 1
    assert "p1234567" not in caplog.text


class RobbedScorer(ShapeScorer):
    """After its first batch somebody else holds all that it had claimed."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self.scored = 0

    def score(self, ecgs: NDArray[np.float32]) -> NDArray[np.float64]:
        """As ShapeScorer, and is robbed."""
        if not self.scored:
            theirs = {
                "run_id": uuid.uuid4(),
                "attempt": worklist.c.attempt + 1,
                "lease_expires_at": lease_end(60),
            }
            with tampering(self._engine) as connection:
                connection.execute(update(worklist).where(worklist.c.state == "leased").values(theirs))
        self.scored += len(ecgs)
        return super().score(ecgs)


@pytest.mark.slow
def test_what_others_have_taken_over_is_not_worked_on(
    engine: Engine, store: ObjectStore, settings: Settings, archive: None, caplog: pytest.LogCaptureFixture
) -> None:
    scorer = RobbedScorer(engine)
    with caplog.at_level(logging.WARNING), scoring.open_run(engine, store, settings, scorer) as run:
        run.score(limit=8)
    assert scorer.scored == 4
    assert "ECGs were taken over by other scorers, and are left to them" in caplog.text
    assert "4 results were dropped: other scorers have taken their ECGs over" in caplog.text
    assert all_rows(engine, scores.c.content_hash) == []


@pytest.mark.slow
def test_only_claims_of_this_very_attempt_are_held(engine: Engine, settings: Settings, archive: None) -> None:
    ours, theirs = (Worklist(engine, settings, "shape-1", uuid.uuid4()) for _ in range(2))
    ours.enqueue()
    claims = ours.claim(4)
    assert ours.still_held(claims) == set(claims)
    assert theirs.still_held(claims) == set()
    wait_until(lambda: are_over(engine, worklist))
    again = ours.claim(ECGS)
    assert {claim.object_id for claim in claims} <= {claim.object_id for claim in again}
    assert ours.still_held(claims) == set()


def test_the_newest_files_are_claimed_first(engine: Engine, worklists: list[Worklist]) -> None:
    numbers = sorted(number for (number,) in all_rows(engine, objects.c.id))
    run = worklists[0]
    assert [claim.object_id for claim in run.claim(2)] == numbers[-2:]
    assert [claim.object_id for claim in run.claim(2)] == numbers[-4:-2]


def test_a_run_claims_what_is_on_the_worklist_of_its_own_model(worklists: list[Worklist]) -> None:
    for run in (worklists[0], worklists[2]):
        assert len(run.claim(100)) == FILES


def test_a_lease_keeps_others_out_until_it_runs_out(engine: Engine, worklists: list[Worklist]) -> None:
    ours, theirs, _ = worklists
    claims = ours.claim(2)
    assert len(theirs.claim(FILES)) == FILES - 2
    assert theirs.claim(FILES) == ours.claim(FILES) == []
    let_run_out(engine)
    assert len(theirs.claim(FILES)) == FILES
    assert ours.still_held(claims) == set()


def test_what_a_run_gave_back_is_its_own_by_the_new_claim_only(
    engine: Engine, worklists: list[Worklist]
) -> None:
    ours, theirs, _ = worklists
    claims, others = ours.claim(2), theirs.claim(1)
    assert ours.release() == 2
    states = {state for (state,) in all_rows(engine, worklist.c.state)}
    assert (states, theirs.still_held(others)) == ({"pending", "leased"}, set(others))
    again = ours.claim(FILES)
    assert {claim.object_id for claim in claims} <= {claim.object_id for claim in again}
    assert ours.still_held(claims) == set()
    assert ours.still_held(again) == set(again)


@pytest.mark.slow
def test_a_slow_run_keeps_the_ecgs_that_it_holds(
    engine: Engine, settings: Settings, worklists: list[Worklist]
) -> None:
    slow = Worklist(engine, settings.model_copy(update={"lease_seconds": 3}), "shape-1", uuid.uuid4())
    slow.claim(2)
    held = (worklist.c.lease_expires_at, worklist.c.lease_expires_at.is_not(None))
    end = max(moment for moment, is_held in all_rows(engine, *held) if is_held)
    with slow.kept_alive():
        wait_until(lambda: all(moment > end for moment, is_held in all_rows(engine, *held) if is_held), 7)


@pytest.mark.slow
def test_who_finds_nothing_waits_for_the_leases_of_a_silent_scorer(
    engine: Engine, settings: Settings, worklists: list[Worklist]
) -> None:
    silent, other = (Worklist(engine, settings, "shape-1", uuid.uuid4()) for _ in range(2))
    assert len(silent.claim(FILES)) == FILES
    assert len(other.claim_or_wait(FILES)) == FILES


def test_what_others_hold_counts_as_pending(
    engine: Engine, store: ObjectStore, settings: Settings, worklists: list[Worklist]
) -> None:
    with scoring.open_run(engine, store, settings, ShapeScorer()) as run:
        assert len(worklists[0].claim(2)) == 2
        assert run.summary().counts() == {
            "indexed": FILES, "scored": 0, "quarantined": 0, "pending": FILES,
        }  # fmt: skip


@pytest.fixture
def retraining(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """A process that retrains."""
    assert settings.database_url is not None
    environment = {
        **os.environ,
        "STENCE_DATA_DIR": str(settings.data_dir),
        "STENCE_DATABASE_URL": settings.database_url.get_secret_value(),
        "STENCE_LEASE_SECONDS": "1",
    }
    command = [sys.executable, "-c", RETRAINING]
    # What a shell starts in the background ignores Ctrl-C, and so would its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        yield process
        process.kill()


def trainings(engine: Engine) -> list[Any]:
    states = select(training_runs.c.state, training_runs.c.error).order_by(training_runs.c.started_at)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(states)]


@pytest.mark.slow
def test_a_retraining_waits_for_the_lease_of_a_killed_one(
    engine: Engine, settings: Settings, retraining: subprocess.Popen[str]
) -> None:
    retraining.kill()
    retraining.wait()
    with entered(engine, "small", {}, settings):
        assert trainings(engine) == [("abandoned", WITHOUT_A_WORD), ("running", None)]


@pytest.mark.slow
def test_no_retraining_beside_one_that_is_alive(
    engine: Engine, settings: Settings, retraining: subprocess.Popen[str]
) -> None:
    with pytest.raises(StenceError, match="at work already"), entered(engine, "small", {}, settings):
        pass
    assert trainings(engine) == [("running", None)]
    retraining.send_signal(signal.SIGINT)
    retraining.communicate(timeout=60)
    assert trainings(engine) == [("interrupted", "KeyboardInterrupt")]


@pytest.mark.slow
def test_a_retraining_that_was_cut_off_finds_its_place_taken_and_ends(
    engine: Engine, settings: Settings, retraining: subprocess.Popen[str]
) -> None:
    retraining.send_signal(signal.SIGSTOP)
    with entered(engine, "small", {}, settings) as second:
        retraining.send_signal(signal.SIGCONT)
        _, said = retraining.communicate(timeout=60)
        assert retraining.returncode == 1
        assert "LeaseLostError: This retraining was taken for dead" in said
        assert trainings(engine) == [("abandoned", WITHOUT_A_WORD), ("running", None)]
        second.note(stage="gather")


def test_a_retraining_whose_row_was_closed_writes_nothing_more(engine: Engine, settings: Settings) -> None:
    def publish_late() -> None:
        with entered(engine, "small", {}, settings) as journal:
            with tampering(engine) as connection:
                connection.execute(update(training_runs).values(state="abandoned", error=WITHOUT_A_WORD))
            with tampering(engine) as connection:
                connection.execute(update(models).values(state="shadow"))
                journal.note_in(connection, state="finished", finished_at=func.now())

    register(engine, ShapeScorer(), "candidate")
    with pytest.raises(LeaseLostError):
        publish_late()
    assert all_rows(engine, models.c.state) == [("candidate",)]
    assert trainings(engine) == [("abandoned", WITHOUT_A_WORD)]


def test_an_end_that_was_committed_before_the_connection_broke_is_written_again(
    engine: Engine, settings: Settings
) -> None:
    with entered(engine, "small", {}, settings) as journal:
        for _ in range(2):
            journal.note(state="skipped", reasons=["too little is new"])
    assert trainings(engine) == [("skipped", None)]
