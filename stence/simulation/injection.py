"""Simulate the flow of contrast agent from the catheter through one artery of a beating heart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from stence.simulation.coronary_tree import STEP_MM, TO_APEX, Tree
from stence.simulation.fluoroscopy import SIZE, CArm, Image, add_thickness

_FLOW_MM = 520.0
"""Flow per second: more than twice as fast as in reality, so that ten frames show inflow and washout."""
_CATHETER_MM = 2.0
_FILLING_S, _WASHING_S = 0.07, 0.2
_LEFT_OVER = 0.15
"""Share of contrast agent that stays in an artery until the run ends."""


class _Tubes(NamedTuple):
    """Centrelines of catheter and vessels: points (n, 3), radius, length and way (n,) as in ``Tree``,
    catheter (n,), True on the catheter, and still (n, 1), 0 if moving with the heart to 1 if fixed."""

    points: NDArray[np.float64]
    radius: NDArray[np.float64]
    length: NDArray[np.float64]
    way: NDArray[np.float64]
    catheter: NDArray[np.bool_]
    still: NDArray[np.float64]


def draw_contrast(
    rng: np.random.Generator, tree: Tree, right: bool, arm: CArm, rate: float, seconds: float
) -> Image:
    """Draw depths of contrast in mm (frames, SIZE, SIZE), one every ``seconds``; ``rate`` in beats/min."""
    tubes = _draw_tubes(rng, tree, right)
    moments = np.arange(int(rng.integers(9, 11))) * seconds
    arrives = rng.uniform(0.8, 1.6) * seconds + tubes.way / (_FLOW_MM * rng.normal(1, 0.08))
    leaves = arrives + rng.uniform(4.2, 5) * seconds
    beats = rng.uniform() + moments * rate / 60
    breath = rng.normal(0, 1.5, 3)
    contrast = np.zeros((len(moments), SIZE, SIZE), dtype=np.float32)
    for image, moment, beat in zip(contrast, moments, beats, strict=True):
        filling = _ramp((moment - arrives) / _FILLING_S)
        filling *= 1 - (1 - _LEFT_OVER) * _ramp((moment - leaves) / _WASHING_S)
        density = np.where(tubes.catheter, 0.35 + 0.4 * filling, filling)
        beating = _contracted(tubes.points, (1 - np.cos(2 * np.pi * beat)) / 2)
        places = tubes.still * tubes.points + (1 - tubes.still) * beating + moment * breath
        add_thickness(image, arm.project(places), tubes.radius, tubes.length * density)
    return contrast


def _draw_tubes(rng: np.random.Generator, tree: Tree, right: bool) -> _Tubes:
    """Build the tubes of the catheter and of the filled part of the right or left artery."""
    shown = (tree.right == right) & tree.filled
    catheter = _draw_catheter(rng, tree.points[tree.right == right][0], right)
    n, vessels = len(catheter), int(shown.sum())
    return _Tubes(
        np.vstack([catheter, tree.points[shown]]),
        np.append(np.full(n, _CATHETER_MM / 2), tree.radius[shown]),
        np.append(np.full(n, STEP_MM), tree.length[shown]),
        np.append(np.zeros(n), tree.way[shown]),
        np.arange(n + vessels) < n,
        np.append(1 - np.exp(-STEP_MM * np.arange(n) / 20), np.zeros(vessels))[:, None],
    )


def _draw_catheter(rng: np.random.Generator, ostium: NDArray[np.float64], right: bool) -> NDArray[np.float64]:
    """Points (n, 3), ``STEP_MM`` apart: from the ostium (3,) to the aorta's far wall, then up and away."""
    far = np.array([14.0, 4.0, 0.0]) if right else np.array([-16.0, -6.0, 0.0])
    bends = np.array([0 * far, 0.5 * far, far, 0.8 * far, (18, 25, 0), (30, 45, 0)])
    bends[:, 2] = 0, 3, 16, 55, 95, 130
    bends[2:] += rng.normal(0, 2, (4, 3))
    at = np.linspace(0, 5, 100)
    course = CubicSpline(np.arange(6), ostium + bends)(at)
    along = np.append(0, np.cumsum(np.linalg.norm(np.diff(course, axis=0), axis=1)))
    steps = np.arange(0, along[-1], STEP_MM)
    return np.column_stack([np.interp(steps, along, column) for column in course.T])


def _contracted(points: NDArray[np.float64], systole: float) -> NDArray[np.float64]:
    """Move points (n, 3) of the epicardium by a contraction from 0 (none) to 1 (full).

    The base moves towards the apex, which is fixed; the heart narrows towards its long axis.
    """
    along = points @ TO_APEX
    across = points - along[:, None] * TO_APEX
    shorter = along + systole * 0.13 * (75 - along)
    return shorter[:, None] * TO_APEX + across * (1 - 0.09 * systole)


def _ramp(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute a smooth step: 0 below 0, 1 above 1."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)
