"""Run a training stage in several processes, one per GPU, with torchrun."""

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
"""Number of output lines that an error shows; about the last 20 are torchrun's own."""


def run_in_processes(stage: str, folder: Path, device: str, processes: int, progress: Progress) -> None:
    """Run ``stage`` in ``folder`` in ``processes`` processes on this machine. They end with this process.

    Raises StenceError if a process fails, with its error or the last lines of output.
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
            f"The stage {stage} failed in one of its {processes} processes; start it again and it resumes "
            "from its last checkpoint. Their last lines:\n  " + "\n  ".join(last)
        )


def _message(line: str) -> Any:
    """Parse a worker's JSON line; None for any other line."""
    try:
        return json.loads(line)
    except ValueError:
        return None
