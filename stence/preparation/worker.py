"""Child process that prepares ECGs: ``python -m stence.preparation.worker``, with a socket as standard input.

One thread receives requests and has their files fetched; the main thread decodes, checks, prepares and
answers. stence.preparation.process is the parent's side.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import queue
import socket
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from stence import discretion, errors
from stence.confinement import confine, limit_growth
from stence.domain.pseudonyms import Pseudonyms
from stence.ecg.profile import profile
from stence.ecg.recipes import STENCE
from stence.ecg.recording import LEADS
from stence.errors import StenceError
from stence.preparation import job, windows
from stence.preparation.channel import receive, send
from stence.preparation.job import Job
from stence.preparation.preparer import Arrived, Preparer
from stence.preparation.reading import Identity, take_in
from stence.preparation.rules import Rules

READY = b"{}"
"""Message of a child that is ready for a job, or for the requests of a job."""


class Fetching(NamedTuple):
    """Requests whose files are being fetched."""

    preparer: Preparer
    groups: Iterator[list[Arrived]]


class Answering:
    """The child's side of the channel. Several threads may send."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._lock = threading.Lock()

    def send(self, message: bytes) -> None:
        """Send a message. The process ends if nobody receives it."""
        try:
            with self._lock:
                send(self._channel, message)
        except OSError:
            os._exit(0)

    def receive_forever(self, tasks: queue.SimpleQueue[Fetching]) -> None:
        """Receive jobs and requests until the parent closes the channel, or ends; then end at once."""
        try:
            self._receive(tasks)
        finally:
            os._exit(0)

    def _receive(self, tasks: queue.SimpleQueue[Fetching]) -> None:
        preparer: Preparer | None = None
        while True:
            content, files = receive(self._channel)
            order = pickle.loads(content)  # noqa: S301 - from the parent
            if not isinstance(order, Job):
                assert preparer is not None  # noqa: S101 - a job comes first
                tasks.put(Fetching(preparer, preparer.fetch(order)))
                continue
            if preparer is not None:
                preparer.close()
            limit_growth(order.decode_memory_bytes)
            preparer = Preparer(order, windows.map_windows(files[0], order.shape), files[0])
            self.send(READY)


class ToParent(logging.Handler):
    """Passes log records on to the parent, which knows where logs go."""

    def __init__(self, answering: Answering) -> None:
        super().__init__()
        self._answering = answering

    def emit(self, record: logging.LogRecord) -> None:
        """Send name, level and text of a record."""
        entry = [record.name, record.levelno, record.getMessage()]
        self._answering.send(json.dumps({"log": entry}).encode())


def main() -> None:
    """Answer requests until the parent closes the channel."""
    discretion.install()
    confine()
    answering = Answering(socket.socket(fileno=os.dup(0)))
    logging.getLogger("stence").addHandler(ToParent(answering))
    warm_up()
    answering.send(READY)
    tasks: queue.SimpleQueue[Fetching] = queue.SimpleQueue()
    threading.Thread(target=answering.receive_forever, args=(tasks,), daemon=True).start()
    while True:
        answering.send(_answer(*tasks.get()))


def _answer(preparer: Preparer, groups: Iterator[list[Arrived]]) -> bytes:
    answers: list[job.Answer] = []
    seconds = {"fetch": 0.0, "prepare": 0.0}
    try:
        while True:
            start = time.perf_counter()
            arrived = next(groups, None)
            fetched = time.perf_counter()
            seconds["fetch"] += fetched - start
            if arrived is None:
                return job.encode(answers, seconds)
            answers += preparer.prepare(arrived)
            seconds["prepare"] += time.perf_counter() - fetched
    except MemoryError:
        os._exit(1)  # a new process has room again
    except Exception as error:
        return json.dumps({"error": _described(error)}).encode()


def _described(error: Exception) -> tuple[str, str]:
    """Return the name of an error of ``stence.errors``, and its text."""
    if isinstance(error, StenceError):
        public = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
        return public.__name__, str(error)
    return StenceError.__name__, f"ECGs cannot be prepared: {type(error).__name__}"


_HEIGHTS = (400, 600, 200, -500, 100, 400, *range(300, 900, 100))
"""Beats of the warm-up, in microvolts: limb leads obey Einthoven, so that the quality check passes."""


def warm_up() -> None:
    """Load or compile what is compiled, before a time limit applies."""
    lines = ["x 12 500 5000", *(f"x.dat 16 1000 16 0 0 0 0 {lead}" for lead in LEADS)]
    beats = np.tile(np.hanning(40), 125)[:, None] * (np.arange(5000) % 400 < 40)[:, None]
    samples = (beats * _HEIGHTS).astype("<i2")
    files = {"x.hea": "\n".join(lines).encode(), "x.dat": samples.tobytes()}
    ecg = take_in("x.hea", files, Identity(patient_id="1"), Rules(ZoneInfo("UTC"), 2**20, Pseudonyms(b"")))
    ecg.facts()
    profile(ecg.recording)
    STENCE.prepare(ecg.recording, 1)


if __name__ == "__main__":
    main()
