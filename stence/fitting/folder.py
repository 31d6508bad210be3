"""Folder of a training: its data, checkpoints and results, locked by one training at a time."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stence import private
from stence.errors import StenceError
from stence.files import try_lock
from stence.settings import Settings

ABANDONED_SECONDS = 14 * 24 * 3600
"""Age after which the folder of an unfinished training is removed, because it holds patients' signals."""


@contextmanager
def training_folder(settings: Settings, *decisive: object) -> Iterator[Path]:
    """The folder ``data_dir/training/<hash>`` of the training that ``decisive`` describes in full.

    The same description gives the same folder, so a killed training can resume. Raises StenceError if the
    same training already runs.
    """
    root = settings.data_dir / "training"
    folder = root / hashlib.sha256(repr(decisive).encode()).hexdigest()[:16]
    private.make_folder(folder)
    with private.open_lock(folder / "lock") as lock:
        if not try_lock(lock):
            raise StenceError(f"The same training is already at work in {folder}: wait for its end.")
        os.utime(lock.fileno())
        remove_abandoned(root)  # only now: this folder may be old, and the lock protects it
        yield folder


def remove_abandoned(root: Path) -> None:
    """Remove the folders of trainings that stopped long ago and do not run."""
    for lock_file in root.glob("*/lock"):
        if time.time() - lock_file.stat().st_mtime < ABANDONED_SECONDS:
            continue
        with lock_file.open("r+") as lock:
            if try_lock(lock):
                shutil.rmtree(lock_file.parent, ignore_errors=True)
