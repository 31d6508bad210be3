"""A training stage in several processes, one a GPU, started by torchrun."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from pathlib import Path

from stence.errors import StenceError
from stence.progress import Progress

LAST_WORDS = 20
"""Lines of the processes' own output that an error shows."""


def run_in_processes(stage: str, folder: Path, device: str, processes: int, tell: Progress) -> None:
    """Do ``stage`` in ``folder`` with so many processes on this machine, which end when this one does.

    Raises StenceError with their last lines where one of them failed.
    """
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
        "-m", "stence.training.worker", str(folder), stage, device,
    ]  # fmt: skip
    last: deque[str] = deque(maxlen=LAST_WORDS)
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as torchrun:
        assert torchrun.stdout is not None  # noqa: S101 (a pipe was asked for)
        for line in torchrun.stdout:
            if said := _progress(line):
                tell(*said)
            else:
                last.append(line.rstrip())
    if torchrun.returncode:
        raise StenceError(
            f"The stage {stage} failed in one of its {processes} processes; start it again and it goes on "
            "from its last checkpoint. Their last lines:\n  " + "\n  ".join(last)
        )


def _progress(line: str) -> tuple[str, int, int | None, str] | None:
    """A worker's progress, where the line is some."""
    try:
        said = json.loads(line)
        return said["stage"], said["done"], said["total"], said["note"]
    except (ValueError, KeyError, TypeError):
        return None
