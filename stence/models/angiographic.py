"""What the angiogram side learns: the patient, both arteries and the eight major segments, severe or not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stence.domain.targets import MAJOR_SEGMENTS, SEGMENTS, Region

ARTERY_OF_SEGMENT = tuple(0 if segment in Region.RCA.segments else 1 for segment in MAJOR_SEGMENTS)
"""For each major segment the place of its artery in (RCA, LCA)."""
ANGIOGRAPHIC_TARGETS = ("patient", "rca", "lca", *(f"segment_{segment}" for segment in MAJOR_SEGMENTS))
ARTERIES = slice(1, 3)
MAJOR = slice(3, len(ANGIOGRAPHIC_TARGETS))
"""Where the arteries and the segments lie among the targets; the patient comes first."""
THRESHOLD = 70.0
"""Percent from which a narrowing is called severe."""


def angiographic_targets(degrees: NDArray[np.floating], threshold: float = THRESHOLD) -> NDArray[np.float32]:
    """The targets (n, 11) of studies with segment ``degrees`` (n, 16) in percent: 1 from ``threshold`` on.

    The row is all NaN where no major segment reaches the threshold but a minor one does: as for the risk
    model's targets, such a patient is neither a case nor a control. Raises ValueError for another shape.
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
