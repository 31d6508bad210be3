"""Worker process of a distributed training stage: ``torchrun -m stence.training.worker FOLDER STAGE``.

The first process writes progress to standard output, as lines of JSON. Every process writes its error there.
Standard input is a pipe from the parent process. When the parent ends, the pipe closes, and every worker ends
at once.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from stence import discretion
from stence.errors import StenceError
from stence.fitting import distributed
from stence.training import stages


def progress(stage: str, done: int, total: int | None = None, note: str = "") -> None:
    """Write one line of progress for the parent process."""
    if distributed.rank() == 0:
        _say(stage=stage, done=done, total=total, note=note)


def end_with_parent() -> None:
    """Exit at once when standard input ends. The checkpoints stay valid."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main(folder: str, stage: str, device: str) -> None:
    """Run ``stage`` in ``folder`` as one of several processes."""
    discretion.install()
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
