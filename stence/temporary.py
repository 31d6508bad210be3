"""Temporary files of a process: removed at its end, or after a kill at the start of the next process.

A process holds a lock on each folder that it owns. The kernel releases the lock when the process ends in any
way, so a folder without a locked owner is a leftover. Process numbers would not tell: they are reused, and
containers that share a data folder have numbers of their own.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stence import private
from stence.files import try_lock

FOLDER = "tmp"
"""Name of the folder in the data folder."""
GATE, OWNER = ".gate", ".owner"
VARIABLE = "TMPDIR"


@contextmanager
def in_data_folder(data_dir: Path) -> Iterator[Path]:
    """Keep temporary files of this process and its children in the data folder during the context."""
    with owned(data_dir / FOLDER) as folder:
        before = tempfile.tempdir, os.environ.get(VARIABLE)
        _use(str(folder), str(folder))
        try:
            yield folder
        finally:
            _use(*before)


@contextmanager
def owned(root: Path) -> Iterator[Path]:
    """Yield a new private folder below ``root``, and remove it at the end.

    First remove the folders below ``root`` whose owners have ended without doing so.
    """
    private.make_folder(root)
    with private.open_lock(root / GATE) as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        _sweep(root)
        folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=root))
        owner = private.open_lock(folder / OWNER)
        try_lock(owner)
    with owner:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _use(folder: str | None, variable: str | None) -> None:
    tempfile.tempdir = folder
    if variable is None:
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = variable


def _sweep(root: Path) -> None:
    for folder in root.iterdir():
        if folder.is_dir() and not folder.is_symlink():
            _remove_left(folder)


def _remove_left(folder: Path) -> None:
    """Remove a folder whose owner has ended; one that goes meanwhile, or is another account's, is left."""
    with (
        suppress(FileNotFoundError, PermissionError),
        private.open_lock(folder / OWNER) as owner,
    ):
        if try_lock(owner):
            shutil.rmtree(folder, ignore_errors=True)
