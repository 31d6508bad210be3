"""Prepared windows in memory that processes share: written by a child, read by the parent, never copied."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ITEM_BYTES = 4


def create(shape: Sequence[int]) -> int:
    """Create shared memory for float32 of this shape, and return its file descriptor.

    It has no name that a killed process could leave behind, and takes real memory only where it is written.
    """
    file = os.memfd_create("stence-windows")
    os.ftruncate(file, ITEM_BYTES * int(np.prod(shape)))
    return file


def map_windows(file: int, shape: Sequence[int]) -> NDArray[np.float32]:
    """Map shared memory of ``create`` as an array."""
    memory = mmap.mmap(file, ITEM_BYTES * int(np.prod(shape)))
    return np.frombuffer(memory, dtype=np.float32).reshape(shape)


def close_gaps(windows: NDArray[np.float32], rows: Sequence[int]) -> list[int]:
    """Bring ``rows`` of ``windows`` to its start, with one copy a gap. Return the new row of each.

    >>> windows = np.arange(4, dtype=np.float32)
    >>> close_gaps(windows, [0, 2, 3]), windows[:3].tolist()
    ([0, 2, 1], [0.0, 3.0, 2.0])
    """
    gaps = iter(sorted(set(range(len(rows))) - set(rows)))
    places = [row if row < len(rows) else next(gaps) for row in rows]
    for row, place in zip(rows, places, strict=True):
        if row != place:
            windows[place] = windows[row]
    return places
