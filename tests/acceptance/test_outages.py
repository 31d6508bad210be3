"""Postgres or the object store goes away in mid-run: the run waits, or ends in words; nothing is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from pydantic import SecretStr
from sqlalchemy import Engine, func, select

from stence import database, scoring
from stence.database.embedded import Server
from stence.database.tables import runs, scores
from stence.errors import DatabaseUnavailableError, StoreUnavailableError
from stence.objects import open_store
from stence.settings import Settings
from support.database import server_folder, url_of
from support.ecgs import heartbeats, store_ecg
from support.models import ShapeScorer, register
from support.s3 import S3Server

pytestmark = pytest.mark.slow

ECGS = 120
QUICK = {"batch_size": 8, "prefetch_batches": 1, "lease_seconds": 2}


class InterruptedScorer(ShapeScorer):
    """Does something to the world before its fifth batch."""

    def __init__(self, interrupt: Callable[[], None]) -> None:
        super().__init__()
        self._interrupt = interrupt
        self._batches = 0

    def score(self, ecgs: NDArray[np.float32]) -> NDArray[np.float64]:
        """As ShapeScorer, with an interruption."""
        self._batches += 1
        if self._batches == 5:
            self._interrupt()
        return super().score(ecgs)


@pytest.fixture
def own_server() -> Iterator[Settings]:
    """Settings with an embedded Postgres that no other test uses."""
    with server_folder() as folder:
        yield Settings(data_dir=folder, **QUICK)


def write_ecgs(settings: Settings) -> None:
    store = open_store(settings.resolved_store_url, settings)
    for number in range(ECGS):
        store_ecg(store, f"ecg/{number}.hea", heartbeats(number), comments=(f"<subject_id>: P{number}",))


def run_once(engine: Engine, settings: Settings, scorer: ShapeScorer) -> scoring.RunSummary:
    store = open_store(settings.resolved_store_url, settings)
    register(engine, scorer)
    scoring.index(engine, store, settings)
    with scoring.open_run(engine, store, settings, scorer) as run:
        while run.score(limit=settings.shard_size):
            pass
    return run.summary()


def kill_postgres(data_dir: Any) -> None:
    """kill -9 of the server and all its processes, as a power cut would."""
    postmaster = psutil.Process(int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0]))
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        process.kill()
    psutil.wait_procs(processes)


def assert_all_scored_once(engine: Engine, summary: scoring.RunSummary) -> None:
    assert summary.counts() == {"indexed": ECGS, "scored": ECGS, "quarantined": 0, "pending": 0}
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(scores)) == ECGS


def test_a_run_goes_on_when_a_killed_embedded_postgres_comes_back(own_server: Settings) -> None:
    write_ecgs(own_server)
    scorer = InterruptedScorer(lambda: kill_postgres(own_server.data_dir))
    with database.connect(own_server) as engine:
        summary = run_once(engine, own_server, scorer)
        assert_all_scored_once(engine, summary)
        with engine.connect() as connection:
            assert connection.scalar(select(runs.c.state)) == "finished"


def test_a_postgres_that_stays_away_ends_the_run_in_words_and_the_next_one_completes(
    own_server: Settings,
) -> None:
    write_ecgs(own_server)
    server = Server(own_server.data_dir)
    with database.connect(own_server) as keeper:
        # By URL, as a hospital's own Postgres: nothing brings it back but a person.
        theirs = own_server.model_copy(
            update={"database_url": SecretStr(url_of(keeper, "postgres")), "outage_seconds": 3}
        )
        with database.connect(theirs) as engine:
            scorer = InterruptedScorer(lambda: kill_postgres(own_server.data_dir))
            with pytest.raises(DatabaseUnavailableError, match="Postgres does not answer"):
                run_once(engine, theirs, scorer)
        server.bring_back()
        with database.connect(theirs) as engine:
            assert_all_scored_once(engine, run_once(engine, theirs, ShapeScorer()))


@pytest.mark.s3
def test_a_run_goes_on_when_a_killed_s3_server_comes_back(
    engine: Engine, settings: Settings, s3_settings: dict[str, Any], s3_server: S3Server
) -> None:
    on_s3 = Settings(**settings.model_dump(include=settings.model_fields_set) | s3_settings | QUICK)
    write_ecgs(on_s3)
    died = threading.Event()

    def interrupt() -> None:
        s3_server.kill()
        died.set()

    with ThreadPoolExecutor(1) as thread:
        summary = thread.submit(run_once, engine, on_s3, InterruptedScorer(interrupt))
        assert died.wait(60)
        time.sleep(3)
        s3_server.start()
        assert_all_scored_once(engine, summary.result())


@pytest.mark.s3
def test_an_s3_server_that_stays_away_ends_the_run_in_words_and_the_next_one_completes(
    engine: Engine, settings: Settings, s3_settings: dict[str, Any], s3_server: S3Server
) -> None:
    options = settings.model_dump(include=settings.model_fields_set) | s3_settings | QUICK
    on_s3 = Settings(**options, outage_seconds=3)
    write_ecgs(on_s3)
    try:
        with pytest.raises(StoreUnavailableError, match="does not answer"):
            run_once(engine, on_s3, InterruptedScorer(s3_server.kill))
    finally:
        s3_server.start()
    assert_all_scored_once(engine, run_once(engine, on_s3, ShapeScorer()))
