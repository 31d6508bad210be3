"""Targets of the angiogram model: severe stenosis of the patient, of both arteries, of 8 major segments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stence.domain.targets import MAJOR_SEGMENTS, SEGMENTS, Region

ARTERY_OF_SEGMENT = tuple(0 if segment in Region.RCA.segments else 1 for segment in MAJOR_SEGMENTS)
"""Index of each major segment's artery in (RCA, LCA)."""
ANGIOGRAPHIC_TARGETS = ("patient", "rca", "lca", *(f"segment_{segment}" for segment in MAJOR_SEGMENTS))
ARTERIES = slice(1, 3)
MAJOR = slice(3, len(ANGIOGRAPHIC_TARGETS))
"""Slices of the arteries and the segments among the targets. The patient comes first."""
THRESHOLD = 70.0
"""Smallest degree of a severe stenosis, in percent."""


def angiographic_targets(degrees: NDArray[np.floating], threshold: float = THRESHOLD) -> NDArray[np.float32]:
    """Return the targets (n, 11) of studies with segment ``degrees`` (n, 16) in percent: 1 if severe.

    The row is NaN if a minor segment reaches the threshold and no major segment does. Such a patient is
    neither a case nor a control, as for the risk model's targets. Raises ValueError for another shape.

    >>> degrees = np.zeros((1, 16))
    >>> degrees[0, 0] = 90  # segment 1, in the RCA
    >>> dict(zip(ANGIOGRAPHIC_TARGETS[:4], angiographic_targets(degrees)[0].tolist()))
    {'patient': 1.0, 'rca': 1.0, 'lca': 0.0, 'segment_1': 1.0}
    """
    if degrees.ndim != 2 or degrees.shape[1] != SEGMENTS:
        raise ValueError(f"expected degrees (n, {SEGMENTS}), got {degrees.shape}")
    severe = np.greater_equal(degrees, threshold)
    segments = severe[:, [segment - 1 for segment in MAJOR_SEGMENTS]]
    artery = np.array(ARTERY_OF_SEGMENT)
    arteries = np.stack([segments[:, artery == place].any(axis=1) for place in (0, 1)], axis=1)
    patient = segments.any(axis=1, keepdims=True)
    targets = np.concatenate((patient, arteries, segments), axis=1).astype(np.float32)
    targets[severe.any(axis=1) & ~patient[:, 0]] = np.nan
    return targets
