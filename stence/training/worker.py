"""One process of a training stage that runs in several: ``torchrun -m stence.training.worker FOLDER STAGE``.

Its progress goes to standard output as lines of JSON, from the first process only; why it failed, from each.
When the process that started them all is gone, its end of the pipe on standard input closes, and every worker
ends at once.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from stence.errors import StenceError
from stence.fitting import distributed
from stence.training import stages


def progress(stage: str, done: int, total: int | None = None, note: str = "") -> None:
    """A line for the process that started this one."""
    if distributed.rank() == 0:
        _say(stage=stage, done=done, total=total, note=note)


def end_with_parent() -> None:
    """Leave without delay when standard input ends; checkpoints bear it."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main(folder: str, stage: str, device: str) -> None:
    """Do ``stage`` in ``folder`` as one of several processes."""
    end_with_parent()
    try:
        with distributed.joined(device):
            stages.run(stage, Path(folder), device, progress)
    except StenceError as error:
        _say(error=str(error))
        sys.exit(1)


def _say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
