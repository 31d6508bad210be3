"""Slow scorers in processes of their own, to be killed."""

from __future__ import annotations

import multiprocessing
import signal
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import numpy as np
from numpy.typing import NDArray

from stence import database, registry, scoring
from stence.export import send_fhir
from stence.objects import open_store
from stence.settings import Settings
from support.models import ShapeScorer

# Forked from a server that has imported everything, so that a scorer is at work a moment after its start.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])


class SlowScorer(ShapeScorer):
    """Takes its time over every batch, as a large network would."""

    def __init__(self, seconds_per_batch: float) -> None:
        super().__init__()
        self._seconds = seconds_per_batch

    def score(self, ecgs: NDArray[np.float32]) -> NDArray[np.float64]:
        """As ShapeScorer, later."""
        time.sleep(self._seconds)
        return super().score(ecgs)


def start_exporter(settings: Settings) -> BaseProcess:
    """Start an export of flags to the FHIR server of the settings."""
    process = CONTEXT.Process(target=_export, args=(settings,), daemon=True)
    process.start()
    return process


def _export(settings: Settings) -> None:
    with database.connect(settings) as engine:
        send_fhir(engine, open_store(settings.resolved_store_url, settings), settings)


def start_scorer(settings: Settings, seconds_per_batch: float) -> BaseProcess:
    """Start a slow scorer and return once it scores."""
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_score, args=(settings, seconds_per_batch, theirs), daemon=True)
    process.start()
    assert ours.poll(60), "the scorer did not start"
    ours.recv()
    return process


def _score(settings: Settings, seconds_per_batch: float, started: Connection) -> None:
    store = open_store(settings.resolved_store_url, settings)
    with (
        database.connect(settings) as engine,
        scoring.open_run(engine, store, settings, SlowScorer(seconds_per_batch)) as run,
    ):
        started.send("scoring")
        while run.score(limit=settings.shard_size):
            pass


def start_workers(settings: Settings, model_version: str, workers: int) -> BaseProcess:
    """Start a process that scores with workers of its own. Ctrl-C reaches it wherever it was started."""
    process = CONTEXT.Process(target=_score_with_workers, args=(settings, model_version, workers))
    process.start()
    return process


def _score_with_workers(settings: Settings, model_version: str, workers: int) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    scoring.score_with_workers(settings, model_version, scoring.Workload(workers=workers))


def start_rollback(settings: Settings) -> BaseProcess:
    """Start a process that rolls back, and return when it begins to."""
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_roll_back, args=(settings, theirs), daemon=True)
    process.start()
    assert ours.poll(60), "the rollback did not start"
    ours.recv()
    return process


def _roll_back(settings: Settings, ready: Connection) -> None:
    with database.connect(settings) as engine, engine.connect() as connection:
        ready.send("ready")
        with connection.begin():
            registry.rollback(connection, by="bob", why="worse than thought")
