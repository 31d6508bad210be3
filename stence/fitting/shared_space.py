"""Fit the projection of a fine-tuned encoder into the space of the angiograms: a ridge regression."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from stence.models import SharedSpace

Floats = NDArray[np.float64]
PENALTY = 0.1
"""Ridge penalty of squared coefficients of standardised embeddings, per unit of weight."""
SMALLEST_SPREAD = 1e-6


def fit_shared_space(
    embeddings: NDArray[np.float32], places: NDArray[np.float32], weights: Floats
) -> SharedSpace:
    """Fit the projection by ridge regression (Hoerl & Kennard 1970), in closed form.

    ``embeddings`` (n, size) are those of ECGs, ``places`` (n, dimensions) the unit vectors of their
    angiograms, ``weights`` (n,) their sample weights. The intercept is not penalised.
    """
    x, y, share = embeddings.astype(np.float64), places.astype(np.float64), weights / weights.sum()
    mean, target = share @ x, share @ y
    spread = np.maximum(np.sqrt(share @ (x - mean) ** 2), SMALLEST_SPREAD)
    standardised = (x - mean) / spread
    gram = standardised.T @ (share[:, None] * standardised) + PENALTY * np.eye(x.shape[1])
    solved = np.linalg.solve(gram, standardised.T @ (share[:, None] * (y - target)))
    coefficients = solved / spread[:, None]
    space = SharedSpace(x.shape[1], y.shape[1])
    with torch.no_grad():
        space.project.weight.copy_(torch.from_numpy(coefficients.T))
        space.project.bias.copy_(torch.from_numpy(target - mean @ coefficients))
    return space.requires_grad_(False)
