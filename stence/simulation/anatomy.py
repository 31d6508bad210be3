"""Normal coronary anatomy: course and diameter of each branch, and coronary dominance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

Place = tuple[float, float, float]
"""theta and phi in degrees, and lift: see stence.simulation.coronary_tree."""


class Branch(NamedTuple):
    """An artery: AHA segment (0: none), parent (empty: the aorta), position of its origin on the parent
    (0-1), the places it passes, and inner diameters in mm at its start and end (Dodge et al. 1992)."""

    name: str
    segment: int
    parent: str
    leaves_at: float
    places: tuple[Place, ...]
    start_mm: float
    end_mm: float


RIGHT_OSTIUM: Place = (40, -8, 0.38)
LEFT_OSTIUM: Place = (-28, -6, 0.58)
"""Origins of the arteries at the aorta."""
RIGHT_BRANCHES = (
    Branch("proximal RCA", 1, "", 0, ((47, -5, 0.72), (57, 0, 0.98), (72, 2, 1.0)), 3.9, 3.6),
    Branch("mid RCA", 2, "proximal RCA", 1, ((90, 3, 1.0), (110, 4, 1.0)), 3.5, 3.1),
    Branch("distal RCA", 3, "mid RCA", 1, ((135, 3, 1.0), (158, 2, 1.0), (174, 2, 1.0)), 3.1, 2.7),
    Branch("PDA", 4, "distal RCA", 1, ((180, 9, 1.0), (181, 28, 1.0), (178, 50, 1.0)), 2.1, 1.0),
    Branch("right PL", 0, "distal RCA", 1, ((186, 0, 1.0), (200, 8, 1.0), (206, 28, 1.0)), 2.0, 0.8),
    Branch("conus", 0, "proximal RCA", 0.3, ((44, 10, 1.0), (30, 22, 1.03)), 1.1, 0.5),
    Branch("right ventricular", 0, "mid RCA", 0.2, ((72, 20, 1.02), (60, 38, 1.0)), 1.2, 0.5),
    Branch("acute marginal", 0, "mid RCA", 1, ((106, 20, 1.0), (102, 44, 1.0), (103, 62, 1.0)), 1.6, 0.6),
)
LEFT_BRANCHES = (
    Branch("main stem", 5, "", 0, ((-31, -4, 0.76), (-33, -1, 0.92)), 4.5, 4.2),
    Branch("proximal LAD", 6, "main stem", 1, ((-20, 7, 1.03), (-8, 15, 1.0), (-3, 22, 1.0)), 3.7, 3.4),
    Branch("mid LAD", 7, "proximal LAD", 1, ((1, 34, 1.0), (0, 48, 1.0)), 3.1, 2.3),
    Branch("distal LAD", 8, "mid LAD", 1, ((3, 66, 1.0), (3, 90, 1.0), (3, 106, 1.0)), 2.2, 0.9),
    Branch("diagonal 1", 9, "proximal LAD", 1, ((-20, 30, 1.0), (-36, 46, 1.0), (-42, 62, 1.0)), 2.0, 0.8),
    Branch("diagonal 2", 10, "mid LAD", 0.9, ((-16, 56, 1.0), (-26, 68, 1.0), (-28, 80, 1.0)), 1.7, 0.7),
    Branch("septal 1", 0, "proximal LAD", 0.9, ((4, 34, 0.7), (10, 44, 0.4)), 1.0, 0.4),
    Branch("septal 2", 0, "mid LAD", 0.4, ((5, 42, 0.7), (12, 54, 0.4)), 0.9, 0.4),
    Branch("septal 3", 0, "mid LAD", 0.8, ((6, 54, 0.7), (14, 64, 0.45)), 0.8, 0.4),
    Branch("proximal LCX", 11, "main stem", 1, ((-46, 1, 1.0), (-62, 2, 1.0), (-78, 2, 1.0)), 3.4, 2.9),
    Branch("marginal 1", 12, "proximal LCX", 1, ((-80, 14, 1.02), (-86, 34, 1.0), (-87, 56, 1.0)), 2.2, 0.8),
    Branch("distal LCX", 13, "proximal LCX", 1, ((-95, 2, 1.0), (-112, 2, 1.0), (-130, 1, 1.0)), 2.4, 1.8),
    Branch("left PL", 14, "distal LCX", 1, ((-131, 14, 1.0), (-128, 32, 1.0), (-127, 48, 1.0)), 1.6, 0.7),
    Branch("left PDA", 15, "distal LCX", 1, ((-146, 1, 1.0), (-162, 5, 1.0), (-171, 20, 1.0)), 1.5, 0.7),
    Branch(
        "marginal 2", 16, "distal LCX", 0.45, ((-106, 14, 1.0), (-108, 32, 1.0), (-107, 50, 1.0)), 1.6, 0.7
    ),
)
"""The 16 segments of the American Heart Association, and branches without number; parents come first."""


class Dominance(NamedTuple):
    """A type of dominance: frequency, unusual courses, and factors of diameters (Dodge et al. 1992)."""

    share: float
    courses: Mapping[str, tuple[Place, ...]]
    factors: Mapping[str, float]


DOMINANCE = (
    Dominance(0.85, {}, {}),
    Dominance(0.07, {}, {"left PDA": 1.2, "right PL": 0.6}),
    Dominance(
        0.08,
        {"left PDA": ((-150, 1, 1.0), (-176, 6, 1.0), (-180, 26, 1.0), (-179, 46, 1.0))},
        {
            **dict.fromkeys(("proximal RCA", "mid RCA", "distal RCA"), 0.72),
            **dict.fromkeys(("PDA", "right PL"), 0.6),
            **dict.fromkeys(("proximal LCX", "distal LCX", "left PDA"), 1.25),
        },
    ),
)
"""Right, balanced and left."""
