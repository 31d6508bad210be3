"""A preparing child process, seen from the parent: its start, its requests, its end.

Idle processes are kept for the next run of this process, because their start takes a second.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from stence import errors
from stence.discretion import plain
from stence.errors import StenceError
from stence.preparation import job
from stence.preparation.channel import receive, send
from stence.preparation.job import Job, Reply, Request

START_SECONDS = 300
"""Longest start: the first one of an installation compiles what the later ones load."""
START_TRIES = 5
SINGLE_THREADED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
KEEPING_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**28)}
"""For glibc: the memory of one ECG serves the next. To return and fault it in costs a tenth of the time."""
COMMAND = (sys.executable, "-P", "-m", "stence.preparation.worker")


class ProcessDiedError(Exception):
    """The child has ended, hangs, or sent an invalid message."""


class PreparingProcess:
    """One child process. It ends with the parent, whose end closes the channel.

    Raises ProcessDiedError if it does not start.
    """

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
                COMMAND,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the parent, which then ends the child
            )
        self._receive(START_SECONDS)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def begin(self, work: Job, file: int) -> None:
        """Pass a job on, and the shared memory of its windows. Raises ProcessDiedError."""
        self._send(pickle.dumps(work), [file])
        self._receive(START_SECONDS)

    def ask(self, requests: Sequence[Request]) -> None:
        """Send requests; ``answer`` returns their answers. Raises ProcessDiedError."""
        self._send(pickle.dumps(requests))

    def answer(self, requests: Sequence[Request], seconds: float) -> Reply:
        """Return the answers to ``requests``, the oldest unanswered ones.

        Raises the child's StenceError, and ProcessDiedError also after ``seconds``; then the child has ended.
        """
        message = self._receive(seconds)
        try:
            if "error" not in message:
                return job.decode(message, requests)
            name, text = message["error"]
        except (ValueError, TypeError, KeyError):
            self.end()
            raise ProcessDiedError from None
        raise _KINDS.get(name, StenceError)(text)

    def is_alive(self) -> bool:
        """True if the child can take another request."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Kill the child; whoever waits for its answer gets a ProcessDiedError."""
        self._process.kill()

    def end(self) -> None:
        """Kill the child and close the channel."""
        self._process.kill()
        self._process.wait()
        self._channel.close()

    def _send(self, content: bytes, files: Sequence[int] = ()) -> None:
        try:
            send(self._channel, content, files)
        except OSError:
            self.end()
            raise ProcessDiedError from None

    def _receive(self, seconds: float) -> dict[str, Any]:
        """Receive a message other than logs."""
        try:
            self._channel.settimeout(seconds)
            while "log" in (message := json.loads(receive(self._channel).content)):
                name, level, text = message["log"]
                logging.getLogger(name).log(level, "%s", plain(text))
            return message
        except (OSError, EOFError, ValueError, TypeError):  # a timeout is an OSError
            self.end()
            raise ProcessDiedError from None


_KINDS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, StenceError)
}
_idle: list[PreparingProcess] = []
_lock = threading.Lock()
os.register_at_fork(after_in_child=_idle.clear)


def begin(work: Job, file: int) -> PreparingProcess:
    """Return a process that has begun a job. Raises StenceError if none can."""
    for _ in range(START_TRIES):
        with suppress(ProcessDiedError):
            process = _take()
            process.begin(work, file)
            return process
    raise StenceError(f"ECGs cannot be prepared: `{' '.join(COMMAND)}` does not start")


def give_back(process: PreparingProcess) -> None:
    """Keep a process without unanswered requests for the next run."""
    with _lock:
        _idle.append(process)


def _take() -> PreparingProcess:
    """Return an idle process, or start one. Raises ProcessDiedError if it does not start."""
    with _lock:
        while _idle:
            if (process := _idle.pop()).is_alive():
                return process
            process.end()
    return PreparingProcess()


def _environment() -> dict[str, str]:
    """Leave out the settings: the job brings what is needed, and no more secrets than that."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("STENCE_")}
    return kept | SINGLE_THREADED | KEEPING_MEMORY
