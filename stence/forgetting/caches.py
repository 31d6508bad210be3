"""Working copies of patients' signals in the data folder of this host: trainings and studies."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path

from stence.cohort import angiograms, dataset
from stence.files import try_lock
from stence.settings import Settings

WORKPLACES = ("training", "studies")


def holding(settings: Settings, hashes: Collection[str], views: Collection[int]) -> list[Path]:
    """Return the folders with one of these ECGs (content hashes) or angiograms (numbers).

    A folder whose gathering did not end may hold any ECG, and counts.
    """
    return [folder for folder in _folders(settings) if _holds(folder, hashes, views)]


def remove(folder: Path) -> bool:
    """Remove a folder unless a process works in it. Return False if one does."""
    with ExitStack() as held:
        for path in (*folder.glob("lock"), *folder.rglob("*.lock")):
            if not try_lock(held.enter_context(path.open("r+"))):
                return False
        shutil.rmtree(folder)
    return True


def _folders(settings: Settings) -> Iterator[Path]:
    for place in WORKPLACES:
        yield from (path for path in sorted((settings.data_dir / place).glob("*")) if path.is_dir())


def _holds(folder: Path, hashes: Collection[str], views: Collection[int]) -> bool:
    cohorts = list(folder.rglob(dataset.INDEX))
    if not cohorts:
        return True
    return any(_names(path, hashes) for path in cohorts) or any(
        not set(views).isdisjoint(json.loads(path.read_text())["objects"])
        for path in folder.rglob(angiograms.INDEX)
    )


def _names(index: Path, hashes: Collection[str]) -> bool:
    text = index.read_text()
    return any(content in text for content in hashes)
