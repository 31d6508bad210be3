"""Compiled operations on leads (leads, samples) that several measurements share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stence.ecg.compiled import compiled

LARGEST = np.float32(np.finfo(np.float32).max)
"""Largest finite sample. ``abs(value) <= LARGEST`` is false for NaN and infinity."""


@compiled
def centred(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the leads minus their means. Samples that are not finite become 0."""
    clean = np.empty(signal.shape, dtype=np.float32)
    for lead in range(signal.shape[0]):
        values, into = signal[lead], clean[lead]
        total, finite = np.float32(0), 0
        for i in range(len(values)):
            valid = abs(values[i]) <= LARGEST
            total += values[i] if valid else np.float32(0)
            finite += valid
        mean = np.float32(total / max(1, finite))
        for i in range(len(values)):
            into[i] = values[i] - mean if abs(values[i]) <= LARGEST else np.float32(0)
    return clean


@compiled
def block_means(clean: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    """Return the means (leads, blocks) over successive blocks of samples; an incomplete block is left out."""
    leads, count = clean.shape[0], clean.shape[1] // block
    means = np.zeros((leads, count), dtype=np.float32)
    share = np.float32(1 / block)
    for lead in range(leads):
        blocks, into = clean[lead, : count * block].reshape(count, block), means[lead]
        for j in range(block):  # outside, so that the inner loop runs over independent sums
            for i in range(count):
                into[i] += blocks[i, j] * share
    return means


@compiled
def sort_columns(values: NDArray[np.float32]) -> None:
    """Sort each column of (rows, n) in place by odd-even transposition, which is fast for a few rows."""
    rows = len(values)
    for turn in range(rows):
        for row in range(turn % 2, rows - 1, 2):
            upper, lower = values[row], values[row + 1]
            for i in range(values.shape[1]):
                small, large = min(upper[i], lower[i]), max(upper[i], lower[i])
                upper[i], lower[i] = small, large
