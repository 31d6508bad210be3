"""Steps shared by several processes. Each step is done once, and its result is a file."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stence.files import try_lock
from stence.progress import Progress

SECONDS_BETWEEN_LOOKS = 2.0
"""Polling interval while other processes do the remaining steps."""


@dataclass(frozen=True)
class Step:
    """A step: ``work`` writes ``path`` atomically after ``needs`` are done."""

    label: str
    path: Path
    work: Callable[[], None]
    needs: tuple[Step, ...] = ()

    @property
    def is_done(self) -> bool:
        """True if the step's file exists."""
        return self.path.exists()

    @property
    def is_ready(self) -> bool:
        """True if all needed steps are done."""
        return all(step.is_done for step in self.needs)


def do_all(steps: Sequence[Step], progress: Progress) -> None:
    """Do the missing steps. Return when all steps are done, by this process or by others on this folder.

    Another process takes over the step of a killed process. Raises the errors of the steps.
    """
    while missing := [step for step in steps if not step.is_done]:
        worked = False
        for step in missing:
            if step.is_ready and _do(step):
                worked = True
                progress("study", sum(step.is_done for step in steps), len(steps), step.label)
        if not worked:
            time.sleep(SECONDS_BETWEEN_LOOKS)


def _do(step: Step) -> bool:
    """Do the step unless another process holds it or has done it. Return True if it was done here."""
    with held(step.path.with_name(f"{step.path.name}.lock")) as is_mine:
        if not is_mine or step.is_done:
            return False
        step.work()
        return True


@contextmanager
def held(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Lock the file and yield True. Without ``wait``, yield False if another process holds the lock.

    The file is removed if the block succeeds. A process that opened the file earlier then gets a lock on a
    deleted file, so it must first check that the work is not done.
    """
    with path.open("w") as lock:
        if wait:
            fcntl.flock(lock, fcntl.LOCK_EX)
        elif not try_lock(lock):
            yield False
            return
        yield True
        path.unlink(missing_ok=True)
