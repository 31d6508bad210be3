"""Coronary disease in the 16 segments of the American Heart Association, and its effect on the muscle."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

TERRITORIES = ("LAD", "LCX", "RCA")
RCA_SEGMENTS = (1, 2, 3, 4)
LAD_SEGMENTS = (6, 7, 8, 9, 10)
LCX_SEGMENTS = (11, 12, 13, 14, 15, 16)
MAIN_STEM = 5

# Proneness of the segments to narrowing: high in the proximal and mid LAD and the RCA, low in the main stem.
_PRONENESS = np.array(
    [-1.2, -1.0, -1.4, -2.3, -2.9, -0.9, -0.8, -2.0, -1.9, -2.3, -1.5, -2.1, -1.6, -2.5, -2.7, -2.6]
)
# Supply of the segments: share of the territory's muscle behind the segment.
_SUPPLY = np.array([1, 1, 0.9, 0.5, 1, 1, 0.95, 0.6, 0.5, 0.4, 1, 0.6, 0.9, 0.5, 0.4, 0.4])
_ARTERY = np.array([2] * 4 + [3] + [0] * 5 + [1] * 6)
"""Index of each segment's artery: LAD, LCX, RCA, main stem."""


class Trees(NamedTuple):
    """Coronary trees: burden (n,), degrees (n, 16) in percent, infarct scar by territory (n, 3) of 0 or 1."""

    burden: NDArray[np.float64]
    degrees: NDArray[np.int64]
    scar: NDArray[np.float64]


def draw_trees(rng: np.random.Generator, burden: NDArray[np.float64]) -> Trees:
    """Draw a tree for each burden (n,).

    A segment's liability is burden + proneness + the artery's random part + the segment's random part. The
    degree is its logistic function in steps of 5 %; below 25 % it is 0, from 95 % on it is 100 (occluded).
    """
    n = len(burden)
    artery = 0.7 * rng.standard_normal((n, 4))
    liability = burden[:, None] + _PRONENESS + artery[:, _ARTERY] + 0.9 * rng.standard_normal((n, 16))
    narrowing = 100 * expit(1.8 * liability)
    degrees = (5 * np.round(narrowing / 5)).astype(np.int64)
    degrees[narrowing < 25] = 0
    degrees[narrowing >= 95] = 100
    infarction = np.where(degrees >= 100, 0.6, np.where(degrees >= 90, 0.25, 0.0)) * _SUPPLY
    infarcted = rng.random((n, 16)) < infarction
    return Trees(burden, degrees, worst_by_territory(infarcted.astype(np.float64)))


def ischaemia(degrees: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute the loss of flow reserve by territory (..., 3), 0 to 1, for degrees (..., 16) in percent.

    Flow reserve is normal up to about 50 % narrowing and exhausted near 90 % (Gould & Lipscomb 1974). The
    model is a logistic curve with its middle at 68 %.
    """
    return worst_by_territory(_SUPPLY * expit((degrees - 68) / 6))


def worst_by_territory(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the maximum over each territory's segments (..., 3); the main stem feeds both LAD and LCX."""
    columns = [
        values[..., [segment - 1 for segment in segments]].max(axis=-1)
        for segments in ((*LAD_SEGMENTS, MAIN_STEM), (*LCX_SEGMENTS, MAIN_STEM), RCA_SEGMENTS)
    ]
    return np.stack(columns, axis=-1)
