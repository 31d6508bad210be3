"""Random projections of embeddings, to compare many ECGs with few numbers each."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

PROJECTION_SIZE = 32
"""Distances between projections equal those of embeddings to 1 / sqrt(32) (Johnson & Lindenstrauss 1984)."""
_SEED = 20_260_501
"""Never to be changed: projections of one model version are compared over years."""


def project(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Random projections (n, 32) of embeddings (n, size), the same for every model of that size.

    Row by row, because products of matrices of another shape round differently.
    """
    size = embeddings.shape[1]
    rows = [row.astype(np.float64) @ _projection(size) for row in embeddings]
    return np.array(rows, dtype=np.float32).reshape(len(embeddings), PROJECTION_SIZE)


@lru_cache(maxsize=8)
def _projection(size: int) -> NDArray[np.float64]:
    """Gaussian (size, 32), scaled so that squared lengths stay as they are on average."""
    return np.random.default_rng(_SEED).standard_normal((size, PROJECTION_SIZE)) / np.sqrt(PROJECTION_SIZE)
