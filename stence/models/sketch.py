"""Short stand-ins for embeddings, to compare many ECGs with few numbers each."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SKETCH_SIZE = 32
"""Distances of sketches are those of embeddings to about 1 / sqrt(32) (Johnson & Lindenstrauss 1984)."""
_SEED = 20_260_501
"""Never to be changed: sketches of one model version are compared over years."""


def sketch(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Random projections (n, 32) of embeddings (n, size), the same for every model of that size.

    Row by row, because products of matrices of another shape round differently.
    """
    size = embeddings.shape[1]
    rows = [row.astype(np.float64) @ _projection(size) for row in embeddings]
    return np.array(rows, dtype=np.float32).reshape(len(embeddings), SKETCH_SIZE)


@lru_cache(maxsize=8)
def _projection(size: int) -> NDArray[np.float64]:
    """Gaussian (size, 32), scaled so that squared lengths stay as they are on average."""
    return np.random.default_rng(_SEED).standard_normal((size, SKETCH_SIZE)) / np.sqrt(SKETCH_SIZE)
