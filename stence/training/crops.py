"""Windows of the training ECGs, which are kept raw: random ones to learn from, fixed ones to look with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stence.cohort import Part
from stence.ecg import LEADS, WINDOW_SAMPLES, preprocess


def random_crops(part: Part, ecgs: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
    """A random 3 s of each of the training part's ``ecgs``, prepared: (n, 12, 1500)."""
    return _crops(part, ecgs, rng.integers(_last_starts(part, ecgs) + 1))


def even_crops(part: Part, ecgs: NDArray[np.int64], windows: int) -> NDArray[np.float32]:
    """``windows`` of each of the training part's ``ecgs``: (n, windows, 12, 1500).

    They are spread and prepared as ``stence.ecg.prepare`` does.
    """
    starts = np.linspace(0, _last_starts(part, ecgs), windows).round().astype(np.int64)
    return np.stack([_crops(part, ecgs, start) for start in starts], axis=1)


def _last_starts(part: Part, ecgs: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.maximum(part.samples[ecgs] - WINDOW_SAMPLES, 0)


def _crops(part: Part, ecgs: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.float32]:
    crops = np.empty((len(ecgs), len(LEADS), WINDOW_SAMPLES), dtype=np.float32)
    for crop, row, start in zip(crops, part.rows[ecgs], starts, strict=True):
        crop[:] = part.signals[row, :, start : start + WINDOW_SAMPLES]
    return preprocess(crops)
