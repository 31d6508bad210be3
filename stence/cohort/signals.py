"""Signals of a split in one memory-mapped file.

Training ECGs are (12, RAW_SAMPLES). All others are the windows of a recipe, see ``stence.cohort.dataset``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stence.domain.splits import Split
from stence.ecg import LEADS, SAMPLING_RATE
from stence.ecg.recipes import RESTING_SECONDS, Recipe

RAW_SAMPLES = RESTING_SECONDS * SAMPLING_RATE


def write_signal(folder: Path, split: str, signal: NDArray[np.float32]) -> None:
    """Append an ECG's signal to its split's file."""
    with _signal_file(folder, split).open("ab") as file:
        file.write(np.ascontiguousarray(signal, dtype=np.float32).data)


def sync_signals(folder: Path, splits: Iterable[str]) -> None:
    """Flush the signals of these splits to disk."""
    for split in splits:
        with _signal_file(folder, split).open("ab") as file:
            os.fsync(file.fileno())


def read_signals(folder: Path, split: str, windows: int, recipe: Recipe) -> NDArray[np.float32]:
    """Map the signals of a split; they are read from disk on access."""
    shape = (len(LEADS), RAW_SAMPLES) if split == Split.TRAIN else (windows, len(LEADS), recipe.samples)
    path = _signal_file(folder, split)
    if not path.exists():
        return np.empty((0, *shape), dtype=np.float32)
    return np.memmap(path, dtype=np.float32, mode="r").reshape(-1, *shape)


def _signal_file(folder: Path, split: str) -> Path:
    return folder / f"{split}.f32"
