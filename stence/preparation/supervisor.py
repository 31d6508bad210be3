"""Keeps one preparing process at work, and replaces it when it ends or hangs."""

from __future__ import annotations

import logging
import queue
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import NamedTuple

from stence.ecg.reasons import Finding, Reason
from stence.preparation import process
from stence.preparation.job import Job, Reply, Request, Unusable
from stence.preparation.process import PreparingProcess, ProcessDiedError

log = logging.getLogger(__name__)

IN_FLIGHT = 2
"""Tasks that a process has at once, so that it does not wait for the parent."""
TRIES_ALONE = 2
"""An ECG that ends so many processes while it is alone in them goes to quarantine."""
SPARE_SECONDS = 60


class Task(NamedTuple):
    """Requests that are answered together."""

    requests: Sequence[Request]
    future: Future[Reply]


class Supervisor:
    """Serves tasks with one process.

    If the process ends or hangs, the ECGs that it had are prepared one by one in a new one. An ECG that ends
    its process alone, and again, is unusable; its neighbours are not.
    """

    def __init__(self, job: Job, file: int) -> None:
        self._job, self._file = job, file
        self._process: PreparingProcess | None = None
        self._tasks: deque[Task] = deque()
        self._closing = self._stopped = False

    def serve(self, tasks: queue.SimpleQueue[Task | None]) -> None:
        """Serve tasks until None comes, then leave the process to others."""
        while self._fill(tasks):
            self._finish()
        if self._process is not None:
            self._process.end() if self._stopped else process.give_back(self._process)

    def stop(self) -> None:
        """End the process from another thread, and let ``serve`` return."""
        self._stopped = True
        if (working := self._process) is not None:
            working.kill()

    def _fill(self, tasks: queue.SimpleQueue[Task | None]) -> bool:
        """Give the process as many tasks as it may have. Return False if it has none, and none come."""
        while not (self._closing or self._stopped) and len(self._tasks) < IN_FLIGHT:
            try:
                task = tasks.get(block=not self._tasks)
            except queue.Empty:
                break
            if task is None:
                self._closing = True
            else:
                self._begin(task)
        return bool(self._tasks) and not self._stopped

    def _begin(self, task: Task) -> None:
        try:
            with suppress(ProcessDiedError):  # found by _finish, which prepares all tasks again
                self._working().ask(task.requests)
        except Exception as error:
            task.future.set_exception(error)
        else:
            self._tasks.append(task)

    def _finish(self) -> None:
        """Resolve the oldest task, or all tasks of a process that has ended."""
        try:
            self._resolve(self._tasks[0], self._answer)
            self._tasks.popleft()
        except ProcessDiedError:
            self._process = None
            while self._tasks and not self._stopped:
                self._resolve(self._tasks.popleft(), self._one_by_one)

    def _resolve(self, task: Task, answer: Callable[[Sequence[Request]], Reply]) -> None:
        try:
            task.future.set_result(answer(task.requests))
        except ProcessDiedError:
            raise
        except Exception as error:  # the run's, which waits for the answer
            task.future.set_exception(error)

    def _answer(self, requests: Sequence[Request]) -> Reply:
        return self._working().answer(requests, self._patience())

    def _one_by_one(self, requests: Sequence[Request]) -> Reply:
        log.warning("a process that prepares ECGs has ended: its %d are prepared one by one", len(requests))
        return Reply([answer for request in requests for answer in self._alone(request).answers], {})

    def _alone(self, request: Request) -> Reply:
        for _ in range(TRIES_ALONE):
            if self._stopped:
                break
            try:
                working = self._working()
                working.ask([request])
                return working.answer([request], self._patience())
            except ProcessDiedError:
                self._process = None
        return Reply([Unusable(request.row, _finding(self._job.decode_seconds), None)], {})

    def _working(self) -> PreparingProcess:
        """Return the process, or start one. Raises StenceError if none starts."""
        if self._process is None:
            self._process = process.begin(self._job, self._file)
        return self._process

    def _patience(self) -> float:
        """Longest time in seconds without a message: an outage, then an ECG at its time limit, each twice."""
        ecgs = sum(len(task.requests) for task in self._tasks) or 1
        return SPARE_SECONDS + 2 * (self._job.outage_seconds + ecgs * self._job.decode_seconds)


def _finding(decode_seconds: float) -> Finding:
    detail = (
        f"reading it ends the process that reads it, again when it is read alone: a damaged file, more than "
        f"{decode_seconds:g} s, or too little memory"
    )
    return Finding(Reason.DECODER_DIED, detail)
