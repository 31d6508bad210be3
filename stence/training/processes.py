"""A training stage in several processes, one a GPU, started by torchrun."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any

from stence.errors import StenceError
from stence.progress import Progress

LAST_WORDS = 60
"""Lines of the processes' own output that an error shows; the last 20 or so are torchrun's."""


def run_in_processes(stage: str, folder: Path, device: str, processes: int, progress: Progress) -> None:
    """Do ``stage`` in ``folder`` with so many processes on this machine, which end when this one does.

    Raises StenceError with what one of them says, or their last lines, where one failed.
    """
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
        "-m", "stence.training.worker", str(folder), stage, device,
    ]  # fmt: skip
    reasons: list[str] = []
    last: deque[str] = deque(maxlen=LAST_WORDS)
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as torchrun:
        assert torchrun.stdout is not None  # noqa: S101 (a pipe was asked for)
        for line in torchrun.stdout:
            match _message(line):
                case {"stage": name, "done": done, "total": total, "note": note}:
                    progress(name, done, total, note)
                case {"error": reason}:
                    reasons.append(reason)
                case _:
                    last.append(line.rstrip())
    if torchrun.returncode and reasons:
        raise StenceError(reasons[0])  # the others fail because the first did
    if torchrun.returncode:
        raise StenceError(
            f"The stage {stage} failed in one of its {processes} processes; start it again and it goes on "
            "from its last checkpoint. Their last lines:\n  " + "\n  ".join(last)
        )


def _message(line: str) -> Any:
    """What a worker says in JSON; None for any other line."""
    try:
        return json.loads(line)
    except ValueError:
        return None
