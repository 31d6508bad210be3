"""Crops of the training ECGs, which are stored raw: random windows for training, fixed ones for the probe."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stence.cohort import Part
from stence.ecg import LEADS


def random_crops(part: Part, ecgs: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a random preprocessed window of each of the training part's ``ecgs``: (n, 12, samples)."""
    return _crops(part, ecgs, rng.integers(_last_starts(part, ecgs) + 1))


def even_crops(part: Part, ecgs: NDArray[np.int64], windows: int) -> NDArray[np.float32]:
    """Return ``windows`` windows of each of the training part's ``ecgs``: (n, windows, 12, samples).

    They are spread and preprocessed as in ``Recipe.prepare``.
    """
    starts = np.linspace(0, _last_starts(part, ecgs), windows).round().astype(np.int64)
    return np.stack([_crops(part, ecgs, start) for start in starts], axis=1)


def _last_starts(part: Part, ecgs: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.maximum(part.samples[ecgs] - part.recipe.needed, 0)


def _crops(part: Part, ecgs: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.float32]:
    needed = part.recipe.needed
    crops = np.empty((len(ecgs), len(LEADS), needed), dtype=np.float32)
    for crop, row, start in zip(crops, part.rows[ecgs], starts, strict=True):
        crop[:] = part.signals[row, :, start : start + needed]
    return part.recipe.apply(crops)
