"""The six prediction targets, and their labels from the segment degrees of a cath report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

SEGMENTS = 16
"""Coronary segments 1..16 in the numbering of the American Heart Association."""
MAJOR_SEGMENTS = (1, 2, 3, 5, 6, 7, 11, 13)
"""Segments that decide a target: proximal to distal RCA, left main, proximal and mid LAD and LCX."""
SEVERE = 70
"""Narrowing in percent from which a stenosis is severe."""


class Region(StrEnum):
    """Part of the coronary tree of a target.

    >>> Region.RCA.segments
    range(1, 5)
    """

    ANY = "any"
    RCA = "rca"
    LCA = "lca"

    @property
    def segments(self) -> range:
        """Segment numbers: RCA 1-4, LCA 5-16."""
        return {Region.ANY: range(1, 17), Region.RCA: range(1, 5), Region.LCA: range(5, 17)}[self]


@dataclass(frozen=True, slots=True)
class Target:
    """A binary target: a major segment of ``region`` is narrowed by at least ``degree`` percent.

    >>> Target("stenosis_70", Region.ANY, 70).answer([80] + [0] * 15)
    1.0
    """

    name: str
    region: Region
    degree: int

    def answer(self, degrees: Sequence[float]) -> float:
        """Return the label for the 16 segment ``degrees`` in percent: 1.0, 0.0, or NaN if unknown.

        The label is unknown if a minor segment reaches the threshold and no major segment does. Such a study
        is neither a case nor a control (the rule of SegmentMIL's training).
        """
        if self._worst(degrees, major=True) >= self.degree:
            return 1.0
        return float("nan") if self._worst(degrees, major=False) >= self.degree else 0.0

    def _worst(self, degrees: Sequence[float], *, major: bool) -> float:
        return max(degrees[s - 1] for s in self.region.segments if (s in MAJOR_SEGMENTS) == major)


TARGETS = (
    Target("stenosis_50", Region.ANY, 50),
    Target("stenosis_70", Region.ANY, 70),
    Target("stenosis_90", Region.ANY, 90),
    Target("stenosis_100", Region.ANY, 100),
    Target("rca_70", Region.RCA, 70),
    Target("lca_70", Region.LCA, 70),
)
TARGET_NAMES = tuple(target.name for target in TARGETS)
DECISIVE = "stenosis_70"
"""Main target, which decides between models."""
DEGREES = TARGET_NAMES[:4]
"""Targets that may decide who is on the list: they order patients by the severity of the disease."""


def labels(degrees: Sequence[float]) -> NDArray[np.float32]:
    """Return the labels (6,) of a study: 1, 0, or NaN if unknown.

    Raises ValueError unless there are 16 degrees, each 0..100.

    >>> labels([0, 0, 0, 0, 0, 80] + [0] * 10).tolist()  # segment 6, in the LCA
    [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    """
    if len(degrees) != SEGMENTS or not all(0 <= degree <= 100 for degree in degrees):
        raise ValueError(f"expected {SEGMENTS} degrees of 0..100 percent, got {list(degrees)}")
    return np.array([target.answer(degrees) for target in TARGETS], dtype=np.float32)
