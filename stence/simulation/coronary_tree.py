"""A person's coronary tree in space: centrelines and radii of the 16 segments, with the true narrowings.

Coordinates are the patient's as in DICOM (x to the left, y to the back, z to the head), in mm from the centre
of the heart's base. Arteries are on half an ellipsoid, the epicardium. A place is (theta, phi, lift): theta
is the angle around the long axis from the anterior groove towards the right ventricle, phi the angle from the
base (0 degrees) to the apex (90 degrees), lift the share of the distance from the axis to the surface.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from stence.simulation.anatomy import (
    DOMINANCE,
    LEFT_BRANCHES,
    LEFT_OSTIUM,
    RIGHT_BRANCHES,
    RIGHT_OSTIUM,
    Branch,
    Dominance,
)

STEP_MM = 0.5
"""Distance between two points of a centreline."""
TO_APEX = np.array([0.62, -0.58, -0.53]) / np.linalg.norm([0.62, -0.58, -0.53])
"""Direction of the long axis: left, anterior, down."""
_ACROSS = np.cross([-0.72, -0.69, -0.09], TO_APEX)
_TO_GROOVE = _ACROSS / np.linalg.norm(_ACROSS)
"""Direction from the long axis to the anterior groove: up, anterior, left."""
_TO_RIGHT = np.cross(TO_APEX, _TO_GROOVE)
"""Direction from the septum to the free wall of the right ventricle."""
_AXES_MM = np.array([82.0, 34.0, 46.0, 40.0])
"""Half-axes: base to apex; long axis to the anterior groove, to the right and to the left."""


class Tree(NamedTuple):
    """Points of all centrelines, about ``STEP_MM`` apart.

    points (n, 3) in mm; radius (n,) in mm with narrowings; length (n,) of centreline per point in mm; way
    (n,) from the ostium in mm; segment (n,), 0 or 1-16; right (n,), True in the right artery; filled (n,),
    True if contrast agent reaches the point, which it does not beyond an occlusion.
    """

    points: NDArray[np.float64]
    radius: NDArray[np.float64]
    length: NDArray[np.float64]
    way: NDArray[np.float64]
    segment: NDArray[np.int64]
    right: NDArray[np.bool_]
    filled: NDArray[np.bool_]


class _Person(NamedTuple):
    """A person's anatomy: axes (4,) in mm, as ``_AXES_MM``; calibre is a factor of all diameters."""

    axes: NDArray[np.float64]
    calibre: float
    dominance: Dominance


class _Start(NamedTuple):
    """Start of a branch: place (3,), distance from the ostium in mm, True if contrast agent reaches it."""

    place: NDArray[np.float64]
    way: float
    filled: bool


class _Laid(NamedTuple):
    """A finished branch with its places (n, 3)."""

    places: NDArray[np.float64]
    vessel: Tree

    def start(self, share: float) -> _Start:
        """Return the start of a child branch at this share of the length."""
        at = round(share * (len(self.places) - 1))
        return _Start(self.places[at], float(self.vessel.way[at]), bool(self.vessel.filled[at]))


def draw_tree(rng: np.random.Generator, sex: str, degrees: NDArray[np.int64]) -> Tree:
    """Draw one person's tree with the degrees (16,) in percent, each at a random place of its segment.

    The course does not depend on the degrees: the same generator gives the same course, healthy or not.
    """
    person = _draw_person(rng, sex)
    vessels: list[Tree] = []
    for right, ostium, branches in (
        (True, RIGHT_OSTIUM, RIGHT_BRANCHES),
        (False, LEFT_OSTIUM, LEFT_BRANCHES),
    ):
        laid: dict[str, _Laid] = {}
        for branch in branches:
            parent = laid.get(branch.parent)
            start = parent.start(branch.leaves_at) if parent else _Start(np.array(ostium), 0.0, True)
            degree = int(degrees[branch.segment - 1]) if branch.segment else 0
            laid[branch.name] = _lay(rng, branch, right, start, person, degree)
        vessels += [part.vessel for part in laid.values()]
    tree = Tree(*(np.concatenate(parts) for parts in zip(*vessels, strict=True)))
    turn = Rotation.from_euler("xyz", rng.normal(0, np.radians(6), 3))
    return tree._replace(points=turn.apply(tree.points))


def _draw_person(rng: np.random.Generator, sex: str) -> _Person:
    size, calibre = (1.0, 1.0) if sex == "M" else (0.94, 0.91)
    axes = rng.normal(size, 0.05) * _AXES_MM * rng.normal(1, 0.05, 4)
    dominance = DOMINANCE[int(rng.choice(len(DOMINANCE), p=[kind.share for kind in DOMINANCE]))]
    return _Person(axes, rng.normal(calibre, 0.08), dominance)


def _lay(
    rng: np.random.Generator, branch: Branch, right: bool, start: _Start, person: _Person, degree: int
) -> _Laid:
    """Draw one branch of this person, from its start."""
    places = np.array(person.dominance.courses.get(branch.name, branch.places))
    places += rng.normal(0, 1, places.shape) * (3.0, 1.8, 0.012)
    places = _wound(rng, _resampled(np.vstack([start.place, places]), person.axes))
    points = _in_space(places, person.axes)
    length = np.linalg.norm(np.diff(points, axis=0, prepend=points[:1]), axis=1)
    along, n = np.cumsum(length), len(points)
    factor = person.calibre * person.dominance.factors.get(branch.name, 1.0) * rng.normal(1, 0.07)
    healthy = factor / 2 * np.linspace(branch.start_mm, branch.end_mm, n)
    bump = _bump(along, rng.uniform(0.2, 0.8), rng.uniform(3, 7))
    end = int(bump.argmax()) if degree >= 100 else n
    vessel = Tree(
        points,
        healthy * (1 - degree / 100 * bump),
        length,
        start.way + along,
        np.full(n, branch.segment),
        np.full(n, right),
        start.filled & (np.arange(n) < end),
    )
    return _Laid(places, vessel)


def _resampled(places: NDArray[np.float64], axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate the places (k, 3) smoothly in steps of ``STEP_MM``."""
    course = _smooth(places)
    steps = np.linalg.norm(np.diff(_in_space(course, axes), axis=0), axis=1)
    along = np.append(0, np.cumsum(steps))
    at = np.linspace(0, along[-1], int(np.ceil(along[-1] / STEP_MM)) + 1)
    return np.column_stack([np.interp(at, along, column) for column in course.T])


def _smooth(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluate the Catmull-Rom spline through places (k, 3), 16 points per interval."""
    slope = np.gradient(places, axis=0)
    t = (np.arange(16) / 16)[:, None]
    before = places[:-1, None] * (2 * t**3 - 3 * t**2 + 1) + slope[:-1, None] * (t**3 - 2 * t**2 + t)
    after = places[1:, None] * (3 * t**2 - 2 * t**3) + slope[1:, None] * (t**3 - t**2)
    return np.vstack([(before + after).reshape(-1, 3), places[-1:]])


def _wound(rng: np.random.Generator, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add random windings to the course (n, 3), none at its start."""
    along = STEP_MM * np.arange(len(places))
    waves = 2 * np.pi * (along[:, None] / rng.uniform(14, 40, 3) + rng.uniform(0, 1, 3))
    return (
        places + np.sin(waves) * rng.normal(0, 1, 3) * (1.6, 1.0, 0.01) * np.minimum(along / 12, 1)[:, None]
    )


def _in_space(places: NDArray[np.float64], axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert places (n, 3) to points (n, 3) in mm."""
    theta, phi, lift = np.radians(places[:, 0]), np.radians(places[:, 1]), places[:, 2]
    width = lift * np.cos(phi)
    sideways = np.where(np.sin(theta) > 0, axes[2], axes[3]) * np.sin(theta) * width
    along, upwards = axes[0] * np.sin(phi) * lift, axes[1] * np.cos(theta) * width
    return np.column_stack([along, upwards, sideways]) @ np.array([TO_APEX, _TO_GROOVE, _TO_RIGHT])


def _bump(along: NDArray[np.float64], middle: float, half_mm: float) -> NDArray[np.float64]:
    """Compute a raised cosine along a branch at distances (n,) in mm: 1 at its centre, 0 outside.

    ``middle`` is the centre as a share of the branch; the narrowing is at most 0.7 of the branch long.
    """
    centre = along[np.abs(along - middle * along[-1]).argmin()]
    half = min(half_mm, 0.35 * along[-1])
    return (1 + np.cos(np.pi * np.minimum(np.abs(along - centre) / half, 1))) / 2
