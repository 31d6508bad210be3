"""Faults in the processes that prepare ECGs. They import this module by ``PYTHONPATH``."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from stence.ecg import Recording
from stence.ecg.recipes import STENCE, Recipe
from stence.objects import LocalStore
from stence.preparation import process

TESTS = Path(__file__).parents[1]


class DeadlyStore(LocalStore):
    """Ends the process that reads a key with ``deadly`` in it, as a crash of a decoder would."""

    def get(self, key: str, *arguments: object) -> bytes:
        """See ObjectStore."""
        if "deadly" in key:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().get(key, *arguments)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class HangingRecipe(Recipe):
    """StenCE's, but never done with ECGs that are longer than 11 s."""

    def prepare_into(self, prepared: NDArray[np.float32], recording: Recording) -> None:
        """See Recipe."""
        while recording.seconds > 11:
            time.sleep(0.1)
        super().prepare_into(prepared, recording)


HANGING = HangingRecipe(name="stence", version=STENCE.version, seconds=3, normalisation="stence")


@pytest.fixture
def own_processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Processes that no other test uses, and that can import the faults."""
    kept: list[process.PreparingProcess] = []
    monkeypatch.setattr(process, "_idle", kept)
    places = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(places))
    yield
    for each in kept:
        each.end()


def preparing_children(parent: psutil.Process) -> list[psutil.Process]:
    """The processes that prepare ECGs for ``parent``."""
    found = []
    for child in parent.children():
        try:
            if process.COMMAND[-1] in child.cmdline():
                found.append(child)
        except psutil.Error:  # it has just ended
            continue
    return found
