"""Steps of a long piece of work, each done once by whichever process comes first, and kept in a file."""

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
"""While another process does all that is left."""


@dataclass(frozen=True)
class Step:
    """``work`` writes ``path``, whole or not at all, once ``needs`` are done."""

    label: str
    path: Path
    work: Callable[[], None]
    needs: tuple[Step, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether its file is there."""
        return self.path.exists()

    @property
    def is_ready(self) -> bool:
        """Whether it can be done."""
        return all(step.is_done for step in self.needs)


def do_all(steps: Sequence[Step], progress: Progress) -> None:
    """Do what is missing; returns when all is done, by this process or by others that share the folder.

    A step of a process that was killed is done by the next one that looks. Raises what a step raises.
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
    """Whether the step was done here just now."""
    with held(step.path.with_name(f"{step.path.name}.lock")) as is_mine:
        if not is_mine or step.is_done:
            return False
        step.work()
        return True


@contextmanager
def held(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Whether the lock of this file is held; without ``wait`` it is not where another process holds it.

    The file is removed when the work has ended well. Who opened it before that has a lock that nobody else
    sees: look first whether the work is done.
    """
    with path.open("w") as lock:
        if wait:
            fcntl.flock(lock, fcntl.LOCK_EX)
        elif not try_lock(lock):
            yield False
            return
        yield True
        path.unlink(missing_ok=True)
