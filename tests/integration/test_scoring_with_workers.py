"""Several processes score one worklist: they share out its ECGs, and the loss of one loses nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from sqlalchemy import Engine, func, select

from stence import scoring
from stence.database.tables import runs, scores, worklist
from stence.errors import StenceError
from stence.objects import ObjectStore
from stence.scoring import Workload, score_with_workers
from stence.settings import Settings
from support.champion import crown
from support.ecgs import heartbeats, store_ecg
from support.processes import start_workers
from support.scoring import give_patients
from support.waiting import wait_until

pytestmark = pytest.mark.slow

ECGS = 300
MODEL = "tiny-1"
STOP_SECONDS = 60


@pytest.fixture
def hasty(settings: Settings) -> Settings:
    """Small batches and short leases, so that all workers have something to do."""
    return settings.model_copy(update={"batch_size": 8, "lease_seconds": 3, "prefetch_batches": 1})


@pytest.fixture(autouse=True)
def archive(engine: Engine, store: ObjectStore, hasty: Settings) -> None:
    """300 ECGs, of which 30 name no patient, and a champion."""
    for number in range(ECGS):
        store_ecg(store, f"ecg/{number:05d}.hea", heartbeats(number))
    give_patients(store, *((f"p{number}", f"{number:05d}") for number in range(ECGS) if number % 10))
    scoring.index(engine, store, hasty)
    crown(engine, store, hasty, MODEL)


def by_state(engine: Engine) -> dict[str, int]:
    counted = select(worklist.c.state, func.count()).group_by(worklist.c.state)
    with engine.connect() as connection:
        return dict(tuple(row) for row in connection.execute(counted))


def when_some_are_scored(engine: Engine, act: Callable[[], None]) -> threading.Thread:
    """Do this from a thread, as soon as the first scores are written."""

    def wait() -> None:
        while by_state(engine).get("scored", 0) == 0:
            time.sleep(0.05)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    """Processes of workers below another."""
    return [child for child in process.children() if "spawn_main" in " ".join(command_of(child))]


def command_of(process: psutil.Process) -> list[str]:
    """Its words; none if it has ended."""
    try:
        return process.cmdline()
    except (psutil.ZombieProcess, psutil.NoSuchProcess):
        return []


def kill_a_worker() -> None:
    workers_of(psutil.Process())[0].kill()


def test_workers_share_the_ecgs_and_give_one_summary(engine: Engine, hasty: Settings) -> None:
    summary = score_with_workers(hasty, MODEL, Workload(workers=3))

    assert summary.counts() == {"indexed": 300, "scored": 270, "quarantined": 30, "pending": 0}
    assert (summary.scored_by_run, summary.quarantined_by_run) == (270, 30)
    assert summary.refusals == {"unknown_patient": 30}
    with engine.connect() as connection:
        ended = connection.execute(select(runs.c.id, runs.c.state, runs.c.scored_by_run)).all()
        by_worker = select(scores.c.run_id, func.count()).group_by(scores.c.run_id)
        written = dict(tuple(row) for row in connection.execute(by_worker))
    assert {row.state for row in ended} == {"finished"}
    assert {row.id for row in ended} == set(summary.run_ids)
    assert written == {row.id: row.scored_by_run for row in ended if row.scored_by_run}


def test_of_four_workers_one_is_killed_and_nothing_is_lost_or_doubled(
    engine: Engine, hasty: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    killer = when_some_are_scored(engine, kill_a_worker)

    summary = score_with_workers(hasty, MODEL, Workload(workers=4))

    killer.join()
    assert summary.counts() == {"indexed": 300, "scored": 270, "quarantined": 30, "pending": 0}
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(scores)) == 270
    assert len(summary.run_ids) == 3
    assert "of 4 failed" in caplog.text
    assert "exit code -9" in caplog.text


def test_ctrl_c_stops_all_workers_and_they_release_their_ecgs(engine: Engine, hasty: Settings) -> None:
    scoring_process = start_workers(hasty, MODEL, 2)
    wait_until(lambda: by_state(engine).get("scored", 0) > 0)
    workers = workers_of(psutil.Process(scoring_process.pid))
    assert len(workers) == 2

    os.kill(scoring_process.pid or 0, signal.SIGINT)

    scoring_process.join(STOP_SECONDS)
    assert scoring_process.exitcode == 1  # a KeyboardInterrupt
    assert not any(worker.is_running() for worker in workers)
    assert by_state(engine).keys() <= {"pending", "scored", "quarantined"}
    with engine.connect() as connection:
        assert set(connection.scalars(select(runs.c.state))) <= {"interrupted", "finished"}


def test_what_stops_every_worker_is_said(hasty: Settings) -> None:
    with pytest.raises(StenceError, match="There is no model version nobody-1"):
        score_with_workers(hasty, "nobody-1", Workload(workers=2))


def test_after_its_time_a_workload_takes_no_ecg(hasty: Settings) -> None:
    over = Workload(until=datetime.now(UTC) - timedelta(seconds=1), workers=2)
    assert score_with_workers(hasty, MODEL, over).counts() == {
        "indexed": 300,
        "scored": 0,
        "quarantined": 0,
        "pending": 300,
    }
