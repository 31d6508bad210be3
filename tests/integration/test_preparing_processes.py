"""The processes that prepare ECGs may crash, hang and be killed: an ECG has its score or a reason, once."""

from __future__ import annotations

import gzip
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine, func

from stence import scoring
from stence.database.tables import scores
from stence.errors import StoreUnavailableError
from stence.objects import LocalStore, ObjectStore
from stence.preparation import process
from stence.settings import Settings
from support.ecgs import heartbeats, store_ecg
from support.models import ShapeScorer, register
from support.preparing import HANGING, DeadlyStore, own_processes, preparing_children
from support.processes import start_scorer
from support.scoring import all_rows, in_quarantine, run_scorer, unmounted_after_a_claim
from support.waiting import wait_until

__all__ = ["own_processes"]
pytestmark = pytest.mark.slow


START_SECONDS = 3
HANGS = 150
"""Seconds after which a test that takes 20 is taken to hang."""


class WatchedScorer(ShapeScorer):
    """Calls ``look`` before each batch."""

    def __init__(self, look: Callable[[], None]) -> None:
        super().__init__()
        self._look = look

    def score(
        self, ecgs: NDArray[np.float32], clinical: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """As ShapeScorer."""
        self._look()
        return super().score(ecgs, clinical)


def write_ecgs(store: ObjectStore, count: int) -> None:
    for number in range(count):
        store_ecg(store, f"ecg/{number}.hea", heartbeats(number), comments=(f"<subject_id>: P{number}",))


def deadly(settings: Settings) -> DeadlyStore:
    return DeadlyStore(Path(settings.data_dir, "store"))


def own_children() -> list[psutil.Process]:
    return preparing_children(psutil.Process())


@contextmanager
def killing(pause: tuple[float, float]) -> Iterator[list[int]]:
    """Kill one of our preparing processes after the other, once it has started."""
    chance, stop, killed = random.Random(7), threading.Event(), list[int]()

    def kill() -> None:
        while not stop.wait(chance.uniform(*pause)):
            at_work = [each for each in own_children() if time.time() - each.create_time() > START_SECONDS]
            if at_work:
                victim = chance.choice(at_work)
                victim.kill()
                killed.append(victim.pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


@pytest.mark.usefixtures("own_processes")
def test_killed_processes_lose_and_double_nothing(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    write_ecgs(store, 300)
    quick = settings.model_copy(update={"batch_size": 16, "decode_processes": 2})
    with killing((1.0, 1.5)) as killed:
        summary = run_scorer(engine, store, quick, WatchedScorer(lambda: time.sleep(0.3)))
    assert len(killed) >= 3, "hardly a process was killed: the test proves nothing"
    assert summary.counts() == {"indexed": 300, "scored": 300, "quarantined": 0, "pending": 0}
    assert all_rows(engine, func.count(scores.c.content_hash.distinct())) == [(300,)]


@pytest.mark.usefixtures("own_processes")
def test_an_ecg_that_ends_its_process_is_quarantined_and_its_neighbours_are_scored(
    engine: Engine, settings: Settings, store: ObjectStore
) -> None:
    write_ecgs(store, 20)
    store_ecg(store, "ecg/deadly.hea", heartbeats(99), comments=("<subject_id>: X",))
    assert run_scorer(engine, deadly(settings), settings, ShapeScorer()).scored == 20
    assert in_quarantine(engine) == {"ecg/deadly.hea": "decoder_died"}


@pytest.mark.usefixtures("own_processes")
def test_all_tasks_of_a_process_that_ended_are_done_again(
    engine: Engine,
    settings: Settings,
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It had two: the newest ECG comes first. The second would wait for answers that no process owes."""
    write_ecgs(store, 22)
    store_ecg(store, "ecg/z_deadly.hea", heartbeats(99), comments=("<subject_id>: X",))
    monkeypatch.setattr("stence.preparation.supervisor.SPARE_SECONDS", 0)
    one = settings.model_copy(
        update={"decode_processes": 1, "batch_size": 4, "decode_seconds": 2, "outage_seconds": 1}
    )
    assert run_scorer(engine, deadly(one), one, ShapeScorer()).scored == 22
    assert in_quarantine(engine) == {"ecg/z_deadly.hea": "decoder_died"}
    assert caplog.text.count("its 4 are prepared one by one") == 2


@pytest.mark.timeout(HANGS)
@pytest.mark.usefixtures("own_processes")
def test_an_ecg_that_never_ends_is_quarantined_after_its_time(
    engine: Engine, settings: Settings, store: ObjectStore
) -> None:
    write_ecgs(store, 4)
    store_ecg(store, "ecg/long.hea", heartbeats(99, seconds=12), comments=("<subject_id>: X",))
    scorer = ShapeScorer()
    scorer.recipe = HANGING
    hasty = settings.model_copy(update={"decode_seconds": 2})
    assert run_scorer(engine, store, hasty, scorer).scored == 4
    assert in_quarantine(engine) == {"ecg/long.hea": "decoder_died"}


@pytest.mark.slow
@pytest.mark.usefixtures("own_processes")
def test_an_ecg_that_takes_too_much_memory_is_quarantined(
    engine: Engine, settings: Settings, store: ObjectStore
) -> None:
    """256 MB of zeros, where the limits of expansion would allow them."""
    write_ecgs(store, 4)
    store.put("ecg/large.gz", gzip.compress(bytes(2**28), 1))
    generous = {"max_object_bytes": 2**30, "max_expansion": 2000}
    scarce = settings.model_copy(update=generous | {"decode_memory_bytes": 2**27})
    assert run_scorer(engine, store, scarce, ShapeScorer()).scored == 4
    assert in_quarantine(engine) == {"ecg/large.gz": "decode_memory"}
    with engine.begin() as connection:
        scoring.quarantine.retry(connection, reason="decode_memory")
    run_scorer(engine, store, settings.model_copy(update=generous), ShapeScorer())
    assert in_quarantine(engine) == {"ecg/large.gz": "unsupported_format"}


@pytest.mark.timeout(HANGS)
@pytest.mark.usefixtures("own_processes")
def test_a_process_that_stands_still_is_replaced(
    engine: Engine, settings: Settings, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stence.preparation.supervisor.SPARE_SECONDS", 0)
    write_ecgs(store, 40)
    hasty = settings.model_copy(
        update={"decode_seconds": 0.5, "outage_seconds": 1, "batch_size": 4, "decode_processes": 1}
    )
    stopped: list[psutil.Process] = []

    def stop_once() -> None:
        if not stopped:
            stopped.extend(own_children())
            stopped[0].suspend()

    assert run_scorer(engine, store, hasty, WatchedScorer(stop_once)).scored == 40
    assert not stopped[0].is_running()


def test_a_killed_scorer_leaves_no_processes(settings: Settings, engine: Engine, store: ObjectStore) -> None:
    write_ecgs(store, 64)
    register(engine, ShapeScorer())
    scoring.index(engine, store, settings)
    scorer = start_scorer(settings.model_copy(update={"batch_size": 8}), 1.0)
    assert scorer.pid
    parent = psutil.Process(scorer.pid)
    wait_until(lambda: preparing_children(parent))
    children = preparing_children(parent)
    scorer.kill()
    scorer.join()
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert gone
    assert not alive


@pytest.mark.usefixtures("own_processes")
def test_an_interrupted_run_ends_its_processes_and_can_be_taken_up(
    engine: Engine, settings: Settings, store: ObjectStore
) -> None:
    write_ecgs(store, 40)

    def interrupt() -> None:
        raise KeyboardInterrupt

    small = settings.model_copy(update={"batch_size": 4})
    with pytest.raises(KeyboardInterrupt):
        run_scorer(engine, store, small, WatchedScorer(interrupt))
    assert own_children() == []
    assert run_scorer(engine, store, small, ShapeScorer()).scored == 40


@pytest.mark.usefixtures("own_processes")
def test_the_next_run_has_the_same_processes_which_know_no_secret(
    engine: Engine, settings: Settings, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STENCE_S3_SECRET_KEY", "hush")
    write_ecgs(store, 1)
    run_scorer(engine, store, settings, ShapeScorer("one"))
    (child,) = own_children()
    run_scorer(engine, store, settings, ShapeScorer("two"))
    assert own_children() == [child]
    assert "hush" not in "".join([*child.environ().values(), *child.cmdline()])
    assert child.environ()["PYTHONPATH"] == os.environ["PYTHONPATH"]


@pytest.mark.usefixtures("own_processes")
def test_an_outage_of_the_store_is_told_and_ends_the_run_in_words(
    engine: Engine,
    settings: Settings,
    store: LocalStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_ecgs(store, 3)
    hasty = settings.model_copy(update={"outage_seconds": 1})
    with (
        unmounted_after_a_claim(settings.data_dir / "store"),
        caplog.at_level(logging.WARNING),
        pytest.raises(StoreUnavailableError, match="does not answer"),
    ):
        run_scorer(engine, store, hasty, ShapeScorer())
    assert "Trying again for" in caplog.text
    assert run_scorer(engine, store, hasty, ShapeScorer()).scored == 3


def test_processes_that_do_not_start_end_the_run_in_words(
    engine: Engine, settings: Settings, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ecgs(store, 1)
    monkeypatch.setattr(process, "_idle", [])
    monkeypatch.setattr(process, "COMMAND", ("/bin/false",))
    with pytest.raises(Exception, match="does not start"):
        run_scorer(engine, store, settings, ShapeScorer())
