"""Random projections of embeddings, to compare many ECGs by few numbers each."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

PROJECTION_SIZE = 32
"""Distances equal those of the embeddings with an error of 1 / sqrt(32) (Johnson & Lindenstrauss 1984)."""
_SEED = 20_260_501
"""Fixed forever, because projections of a model version are compared over years."""


def project(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Project embeddings (n, size) to (n, 32). The projection is the same for all models of this size.

    Rows are projected one by one, because matrix products of another shape round differently.

    >>> project(np.ones((2, 512), np.float32)).shape
    (2, 32)
    """
    size = embeddings.shape[1]
    rows = [row.astype(np.float64) @ _projection(size) for row in embeddings]
    return np.array(rows, dtype=np.float32).reshape(len(embeddings), PROJECTION_SIZE)


@lru_cache(maxsize=8)
def _projection(size: int) -> NDArray[np.float64]:
    """Return a Gaussian matrix (size, 32), scaled to keep squared lengths on average."""
    return np.random.default_rng(_SEED).standard_normal((size, PROJECTION_SIZE)) / np.sqrt(PROJECTION_SIZE)
