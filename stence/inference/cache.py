"""Folders of derived files, with their SHA-256: what is missing or altered is made anew."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stence import temporary
from stence.files import write_json

HASHES = "sha256.json"
UNFINISHED = ".unfinished"


@contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """Yield a new folder; after the context it takes the place of ``folder``, with its files' hashes."""
    with temporary.owned(folder.parent / UNFINISHED) as own:
        unfinished = own / folder.name
        unfinished.mkdir()
        yield unfinished
        write_json(unfinished / HASHES, _hashes(unfinished))
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another process was quicker, with the same result
            unfinished.rename(folder)


def is_unaltered(folder: Path) -> bool:
    """True if ``folder`` is complete, and each of its files has the hash that was written with it."""
    try:
        return bool(json.loads((folder / HASHES).read_bytes()) == _hashes(folder))
    except (OSError, ValueError):
        return False


def _hashes(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.iterdir() if path.name != HASHES)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
