"""What is predicted: the six targets, and how a cath report's segment degrees answer them."""

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


class Region(StrEnum):
    """The part of the coronary tree that a target looks at."""

    ANY = "any"
    RCA = "rca"
    LCA = "lca"

    @property
    def segments(self) -> range:
        """Segment numbers: RCA 1-4, LCA 5-16."""
        return {Region.ANY: range(1, 17), Region.RCA: range(1, 5), Region.LCA: range(5, 17)}[self]


@dataclass(frozen=True, slots=True)
class Target:
    """Whether a major segment of ``region`` is narrowed by at least ``degree`` percent."""

    name: str
    region: Region
    degree: int

    def answer(self, degrees: Sequence[float]) -> float:
        """1.0 or 0.0 for the 16 segment ``degrees`` in percent; NaN where the report does not settle it.

        A study whose major segments stay below the threshold while a minor one reaches it is neither a
        case nor a control (the rule of SegmentMIL's training), so it is left out for this target.
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
"""The target that a model is judged by."""


def labels(degrees: Sequence[float]) -> NDArray[np.float32]:
    """The six targets of one study: (6,) with 1, 0, or NaN where unsettled.

    Raises ValueError unless there are 16 degrees, each 0..100.
    """
    if len(degrees) != SEGMENTS or not all(0 <= degree <= 100 for degree in degrees):
        raise ValueError(f"expected {SEGMENTS} degrees of 0..100 percent, got {list(degrees)}")
    return np.array([target.answer(degrees) for target in TARGETS], dtype=np.float32)
