"""Score with several processes on one host, each with its share of the cores and of the GPUs.

The processes share the worklist as scorers on several hosts do, by claims in Postgres. If one dies, its
leases run out, and the others score its ECGs.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple

import torch

from stence import database, discretion, orphans, registry
from stence.device import device_of
from stence.errors import StenceError
from stence.objects import open_store
from stence.scoring.run import open_run, was_stopped
from stence.scoring.summary import RunSummary, together
from stence.scoring.workload import Workload
from stence.settings import Settings

log = logging.getLogger(__name__)

VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"
STOP_SECONDS = 30
"""Time that a worker has to release its ECGs before it is killed."""


class Share(NamedTuple):
    """A worker's part of the host: numbers of cores, and the name of a GPU for CUDA."""

    cores: tuple[int, ...]
    gpu: str | None


class Worker(NamedTuple):
    """A worker's process, and the connection on which it sends a RunSummary or an error."""

    number: int
    process: SpawnProcess
    answers: Connection


def score_with_workers(settings: Settings, model_version: str, workload: Workload) -> RunSummary:
    """Score a model's workload with ``workload.workers`` processes, and return their common summary.

    A worker that fails is logged; the others finish its ECGs. Raises StenceError if every worker fails.
    """
    workers: list[Worker] = []
    try:
        for number, share in enumerate(shares(settings, workload.workers), start=1):
            workers.append(_start(number, share, settings, model_version, workload))
        answers = list(_answers(workers))
    finally:
        _stop(workers)
    if finished := [answer for answer in answers if isinstance(answer, RunSummary)]:
        return together(finished)
    raise next(answer for answer in answers if isinstance(answer, StenceError))


def shares(settings: Settings, workers: int) -> list[Share]:
    """Share out the host's cores, and its GPUs if the settings allow them. Workers beyond their number share.

    Raises ConfigurationError if a GPU is required and torch finds none.
    """
    cores, gpus = _cores(), _gpus() if device_of(settings) == "cuda" else [None]
    return [
        Share(tuple(cores[number::workers]) or (cores[number % len(cores)],), gpus[number % len(gpus)])
        for number in range(workers)
    ]


def _cores() -> list[int]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _gpus() -> list[str | None]:
    """Return CUDA's names of the GPUs that this process may use."""
    if listed := os.environ.get(VISIBLE_GPUS):
        return [*listed.split(",")]
    return [str(number) for number in range(torch.cuda.device_count())]


def _start(number: int, share: Share, settings: Settings, model_version: str, workload: Workload) -> Worker:
    """Start a worker. What the settings leave open follows its own share of the cores."""
    context = multiprocessing.get_context("spawn")  # a forked process could not use the GPU
    ours, theirs = context.Pipe(duplex=False)
    given = settings.model_dump(exclude_unset=True)
    arguments = (theirs, os.getpid(), share, given, model_version, workload)
    process = context.Process(target=_work, args=arguments, name=f"score-worker-{number}")
    process.start()
    theirs.close()  # so that the end of the process ends the connection
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid or 0, share.cores)
    return Worker(number, process, ours)


def _answers(workers: list[Worker]) -> Iterator[RunSummary | StenceError]:
    """Yield the workers' answers as they come."""
    waiting = {worker.answers: worker for worker in workers}
    while waiting:
        for answers in wait(list(waiting)):
            yield _answer(waiting.pop(answers), len(workers))  # type: ignore[call-overload]


def _answer(worker: Worker, workers: int) -> RunSummary | StenceError:
    try:
        answer: RunSummary | StenceError = worker.answers.recv()
    except EOFError:
        worker.process.join()
        answer = StenceError(f"A worker ended without a word, with exit code {worker.process.exitcode}.")
    if isinstance(answer, StenceError):
        log.error("worker %d of %d failed, the others take its ECGs: %s", worker.number, workers, answer)
    return answer


def _stop(workers: list[Worker]) -> None:
    """End the workers that are still at work; they release their ECGs."""
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(STOP_SECONDS)
        worker.process.kill()
        worker.process.join()
        worker.answers.close()


def _work(
    answers: Connection,
    parent: int,
    share: Share,
    given: dict[str, Any],
    model_version: str,
    workload: Workload,
) -> None:
    """Score in a process of its own, and send the summary or the error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which sends SIGTERM
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    discretion.install()
    orphans.end_with(parent)
    if share.gpu is not None:
        os.environ[VISIBLE_GPUS] = share.gpu  # read at the first use of CUDA
    torch.set_num_threads(len(share.cores))
    try:
        answers.send(_score(Settings(**given), model_version, workload))
    except BaseException as error:
        if was_stopped(error):
            raise SystemExit(128 + signal.SIGTERM) from None
        if not isinstance(error, StenceError):
            raise
        answers.send(error)


def _score(settings: Settings, model_version: str, workload: Workload) -> RunSummary:
    store = open_store(settings.resolved_store_url, settings)
    with database.connect(settings) as engine:
        with engine.connect() as connection:
            registered = registry.find(connection, model_version)
        scorer = registry.in_chosen_form(engine, settings, registry.load(registered, store, settings))
        with open_run(engine, store, settings, scorer, workload.portion) as run:
            while not workload.is_over() and run.score(limit=settings.shard_size):
                pass
        return run.summary()
