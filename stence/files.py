"""Atomic writes, and locks between processes."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import IO, Any


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically. After a crash it has either the old or the new content."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Write a JSON file atomically, with ``write_whole``."""
    write_whole(path, json.dumps(content, indent=indent).encode())


def try_lock(file: IO[Any]) -> bool:
    """Lock an open file for this process; return False if another process holds the lock.

    The kernel releases the lock when the process ends in any way.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
