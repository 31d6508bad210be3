"""A person's coronary tree in space: centrelines and radii of the 16 segments, narrowed as the truth says.

Coordinates are the patient's as in DICOM (x to the left, y to the back, z to the head), mm from the middle
of the heart's base. Arteries lie on half an ellipsoid, the epicardium: a place is (theta, phi, lift), theta
around the long axis from the anterior groove towards the right ventricle, phi from the base (0 degrees) to
the apex (90 degrees), lift the share of the way out to the surface.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from stence.simulation.coronaries import RCA_SEGMENTS

STEP_MM = 0.5
"""Distance between two points of a centreline."""
TO_APEX = np.array([0.62, -0.58, -0.53]) / np.linalg.norm([0.62, -0.58, -0.53])
"""Long axis: left, anterior, down."""
_ACROSS = np.cross([-0.72, -0.69, -0.09], TO_APEX)
_TO_GROOVE = _ACROSS / np.linalg.norm(_ACROSS)
"""From the long axis to the anterior groove: up, anterior, left."""
_TO_RIGHT = np.cross(TO_APEX, _TO_GROOVE)
"""From the septum to the free wall of the right ventricle."""
_AXES_MM = np.array([82.0, 34.0, 46.0, 40.0])
"""Base to apex; then from the long axis to the anterior groove, to the right and to the left."""

Place = tuple[float, float, float]


class Branch(NamedTuple):
    """One artery: AHA segment (0: none), parent's name and where on it (0-1) it leaves, the places that it
    passes after that, and inner diameters in mm at its start and end (Dodge et al. 1992)."""

    name: str
    segment: int
    parent: str
    leaves_at: float
    places: tuple[Place, ...]
    start_mm: float
    end_mm: float


_OSTIA: Mapping[str, Place] = {"right": (40, -8, 0.38), "left": (-28, -6, 0.58)}
"""Where the arteries leave the aorta."""
_BRANCHES = (
    Branch("proximal RCA", 1, "right", 0, ((47, -5, 0.72), (57, 0, 0.98), (72, 2, 1.0)), 3.9, 3.6),
    Branch("mid RCA", 2, "proximal RCA", 1, ((90, 3, 1.0), (110, 4, 1.0)), 3.5, 3.1),
    Branch("distal RCA", 3, "mid RCA", 1, ((135, 3, 1.0), (158, 2, 1.0), (174, 2, 1.0)), 3.1, 2.7),
    Branch("PDA", 4, "distal RCA", 1, ((180, 9, 1.0), (181, 28, 1.0), (178, 50, 1.0)), 2.1, 1.0),
    Branch("right PL", 0, "distal RCA", 1, ((186, 0, 1.0), (200, 8, 1.0), (206, 28, 1.0)), 2.0, 0.8),
    Branch("conus", 0, "proximal RCA", 0.3, ((44, 10, 1.0), (30, 22, 1.03)), 1.1, 0.5),
    Branch("right ventricular", 0, "mid RCA", 0.2, ((72, 20, 1.02), (60, 38, 1.0)), 1.2, 0.5),
    Branch("acute marginal", 0, "mid RCA", 1, ((106, 20, 1.0), (102, 44, 1.0), (103, 62, 1.0)), 1.6, 0.6),
    Branch("main stem", 5, "left", 0, ((-31, -4, 0.76), (-33, -1, 0.92)), 4.5, 4.2),
    Branch("proximal LAD", 6, "main stem", 1, ((-20, 7, 1.03), (-8, 15, 1.0), (-3, 22, 1.0)), 3.7, 3.4),
    Branch("mid LAD", 7, "proximal LAD", 1, ((1, 34, 1.0), (0, 48, 1.0)), 3.1, 2.3),
    Branch("distal LAD", 8, "mid LAD", 1, ((3, 66, 1.0), (3, 90, 1.0), (3, 106, 1.0)), 2.2, 0.9),
    Branch(
        "first diagonal", 9, "proximal LAD", 1, ((-20, 30, 1.0), (-36, 46, 1.0), (-42, 62, 1.0)), 2.0, 0.8
    ),
    Branch("second diagonal", 10, "mid LAD", 0.9, ((-16, 56, 1.0), (-26, 68, 1.0), (-28, 80, 1.0)), 1.7, 0.7),
    Branch("septal 1", 0, "proximal LAD", 0.9, ((4, 34, 0.7), (10, 44, 0.4)), 1.0, 0.4),
    Branch("septal 2", 0, "mid LAD", 0.4, ((5, 42, 0.7), (12, 54, 0.4)), 0.9, 0.4),
    Branch("septal 3", 0, "mid LAD", 0.8, ((6, 54, 0.7), (14, 64, 0.45)), 0.8, 0.4),
    Branch("proximal LCX", 11, "main stem", 1, ((-46, 1, 1.0), (-62, 2, 1.0), (-78, 2, 1.0)), 3.4, 2.9),
    Branch(
        "first marginal", 12, "proximal LCX", 1, ((-80, 14, 1.02), (-86, 34, 1.0), (-87, 56, 1.0)), 2.2, 0.8
    ),
    Branch("distal LCX", 13, "proximal LCX", 1, ((-95, 2, 1.0), (-112, 2, 1.0), (-130, 1, 1.0)), 2.4, 1.8),
    Branch("left PL", 14, "distal LCX", 1, ((-131, 14, 1.0), (-128, 32, 1.0), (-127, 48, 1.0)), 1.6, 0.7),
    Branch("left PDA", 15, "distal LCX", 1, ((-146, 1, 1.0), (-162, 5, 1.0), (-171, 20, 1.0)), 1.5, 0.7),
    Branch(
        "second marginal",
        16,
        "distal LCX",
        0.45,
        ((-106, 14, 1.0), (-108, 32, 1.0), (-107, 50, 1.0)),
        1.6,
        0.7,
    ),
)
"""The 16 segments of the American Heart Association, and branches without a number."""
_RIGHT_BRANCHES = ("right PL", "conus", "right ventricular", "acute marginal")


class _Dominance(NamedTuple):
    """How common it is; courses other than usual; what diameters are multiplied with (Dodge et al. 1992)."""

    share: float
    courses: Mapping[str, tuple[Place, ...]]
    factors: Mapping[str, float]


_DOMINANCE = (
    _Dominance(0.85, {}, {}),
    _Dominance(0.07, {}, {"left PDA": 1.2, "right PL": 0.6}),
    _Dominance(
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


class Tree(NamedTuple):
    """Points of all centrelines, about ``STEP_MM`` apart.

    points (n, 3) in mm; radius (n,) in mm, every narrowing included; length (n,) of centreline in mm that a
    point stands for; way (n,) from the ostium in mm; segment (n,), 0 or 1-16; right (n,), whether it is the
    right artery's; filled (n,), whether contrast gets there: nothing beyond an occlusion is.
    """

    points: NDArray[np.float64]
    radius: NDArray[np.float64]
    length: NDArray[np.float64]
    way: NDArray[np.float64]
    segment: NDArray[np.int64]
    right: NDArray[np.bool_]
    filled: NDArray[np.bool_]


class _Person(NamedTuple):
    """axes (4,) in mm, as ``_AXES_MM``; factors of all diameters (calibre) and of some, and the courses that
    dominance alters."""

    axes: NDArray[np.float64]
    calibre: float
    factors: Mapping[str, float]
    courses: Mapping[str, tuple[Place, ...]]


class _Narrowing(NamedTuple):
    """degree in percent of diameter, middle as a share of the branch, half its length in mm."""

    degree: int
    middle: float
    half_mm: float


def draw_tree(rng: np.random.Generator, sex: str, degrees: NDArray[np.int64]) -> Tree:
    """One person's tree with the degrees (16,) in percent, each at a random place of its segment.

    What is drawn does not depend on the degrees: the same generator gives the same course, healthy or not.
    """
    dominance = _DOMINANCE[int(rng.choice(len(_DOMINANCE), p=[part.share for part in _DOMINANCE]))]
    size, calibre = (1.0, 1.0) if sex == "M" else (0.94, 0.91)
    axes = rng.normal(size, 0.05) * _AXES_MM * rng.normal(1, 0.05, 4)
    person = _Person(axes, rng.normal(calibre, 0.08), dominance.factors, dominance.courses)
    turn = _rotation(rng.normal(0, np.radians(6), 3))
    laid: dict[str, tuple[NDArray[np.float64], Tree]] = {}
    for branch in _BRANCHES:
        degree = int(degrees[branch.segment - 1]) if branch.segment else 0
        narrowing = _Narrowing(degree, rng.uniform(0.2, 0.8), rng.uniform(3, 7))
        laid[branch.name] = _lay(rng, branch, laid.get(branch.parent), person, narrowing)
    tree = Tree(
        *(np.concatenate(parts) for parts in zip(*(piece for _, piece in laid.values()), strict=True))
    )
    return tree._replace(points=tree.points @ turn.T)


def _lay(
    rng: np.random.Generator,
    branch: Branch,
    parent: tuple[NDArray[np.float64], Tree] | None,
    person: _Person,
    narrowing: _Narrowing,
) -> tuple[NDArray[np.float64], Tree]:
    """The branch's places and points, from where it leaves its parent (None: the aorta)."""
    places = np.array(person.courses.get(branch.name, branch.places))
    places += rng.normal(0, 1, places.shape) * (3.0, 1.8, 0.012)
    width = person.calibre * person.factors.get(branch.name, 1.0) * rng.normal(1, 0.07)
    start, way, fed = np.array(_OSTIA.get(branch.parent)), 0.0, True
    if parent is not None:
        leaves = round(branch.leaves_at * (len(parent[0]) - 1))
        start, way, fed = parent[0][leaves], parent[1].way[leaves], parent[1].filled[leaves]
    places = _wound(rng, _resampled(np.vstack([start, places]), person.axes))
    points = _in_space(places, person.axes)
    length = np.linalg.norm(np.diff(points, axis=0, prepend=points[:1]), axis=1)
    along = np.cumsum(length)
    bump = _bump(along, narrowing)
    width_mm = width * np.linspace(branch.start_mm, branch.end_mm, len(points))
    blocked = narrowing.degree >= 100
    piece = Tree(
        points,
        width_mm / 2 * (1 - narrowing.degree / 100 * bump),
        length,
        way + along,
        np.full(len(points), branch.segment),
        np.full(len(points), branch.segment in RCA_SEGMENTS or branch.name in _RIGHT_BRANCHES),
        fed & (np.arange(len(points)) < (bump.argmax() if blocked else len(points))),
    )
    return places, piece


def _resampled(places: NDArray[np.float64], axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smoothly through the places (k, 3), in steps of ``STEP_MM``."""
    course = _smooth(places)
    steps = np.linalg.norm(np.diff(_in_space(course, axes), axis=0), axis=1)
    along = np.append(0, np.cumsum(steps))
    at = np.linspace(0, along[-1], int(np.ceil(along[-1] / STEP_MM)) + 1)
    return np.column_stack([np.interp(at, along, column) for column in course.T])


def _smooth(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Catmull and Rom's spline through places (k, 3), 16 points from each to the next."""
    slope = np.gradient(places, axis=0)
    t = (np.arange(16) / 16)[:, None]
    before = places[:-1, None] * (2 * t**3 - 3 * t**2 + 1) + slope[:-1, None] * (t**3 - 2 * t**2 + t)
    after = places[1:, None] * (3 * t**2 - 2 * t**3) + slope[1:, None] * (t**3 - t**2)
    return np.vstack([(before + after).reshape(-1, 3), places[-1:]])


def _wound(rng: np.random.Generator, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """The course (n, 3) with the windings that arteries have, none where it begins."""
    along = STEP_MM * np.arange(len(places))
    waves = 2 * np.pi * (along[:, None] / rng.uniform(14, 40, 3) + rng.uniform(0, 1, 3))
    return (
        places + np.sin(waves) * rng.normal(0, 1, 3) * (1.6, 1.0, 0.01) * np.minimum(along / 12, 1)[:, None]
    )


def _in_space(places: NDArray[np.float64], axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (n, 3) in mm for places (n, 3)."""
    theta, phi, lift = np.radians(places[:, 0]), np.radians(places[:, 1]), places[:, 2]
    width = lift * np.cos(phi)
    sideways = np.where(np.sin(theta) > 0, axes[2], axes[3]) * np.sin(theta) * width
    along, upwards = axes[0] * np.sin(phi) * lift, axes[1] * np.cos(theta) * width
    return np.column_stack([along, upwards, sideways]) @ np.array([TO_APEX, _TO_GROOVE, _TO_RIGHT])


def _bump(along: NDArray[np.float64], narrowing: _Narrowing) -> NDArray[np.float64]:
    """From 0 to 1 at one point and back, (n,): a raised cosine, at most 0.7 of the branch long."""
    middle = along[np.abs(along - narrowing.middle * along[-1]).argmin()]
    half = min(narrowing.half_mm, 0.35 * along[-1])
    return (1 + np.cos(np.pi * np.minimum(np.abs(along - middle) / half, 1))) / 2


def _rotation(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix (3, 3) that turns about x, then y, then z, by angles (3,) in radians."""
    return Rotation.from_euler("xyz", turns).as_matrix()
