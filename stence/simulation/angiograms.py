"""Coronary angiography of a patient: which runs are made, and what is seen in their frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from stence.simulation.chest import draw_chest
from stence.simulation.coronary_tree import STEP_MM, TO_APEX, Tree, draw_tree
from stence.simulation.fluoroscopy import SIZE, CArm, Detector, Image, add_thickness
from stence.simulation.patients import Patient

_LEFT_VIEWS = ((-25.0, -22.0), (42.0, 24.0), (-20.0, 28.0), (2.0, 32.0), (42.0, -24.0))
_RIGHT_VIEWS = ((38.0, 2.0), (-30.0, 2.0), (8.0, 26.0))
"""Usual primary and secondary angles in degrees: the first ones are in every study."""
_FLOW_MM = 520.0
"""Per second: faster than in life, so that ten frames show arrival and washing out."""


_CATHETER_MM = 2.0


@dataclass(frozen=True, slots=True)
class Run:
    """A cine: frames (n, SIZE, SIZE) of grey 0-1, and the moment of each in seconds."""

    number: int
    right: bool
    primary: float
    secondary: float
    taken_at: datetime
    frame_seconds: float
    frames: Image


def draw_runs(rng: np.random.Generator, patient: Patient, started_at: datetime) -> Iterator[Run]:
    """A study's three to five runs, the left artery first."""
    tree = draw_tree(rng, patient.sex, patient.degrees)
    detector = Detector(
        photons=rng.uniform(500, 1000),
        scatter=rng.uniform(0.2, 0.35),
        gamma=rng.uniform(0.6, 0.85),
        corner=float(rng.choice([4, 8, 24])),
    )
    rate = rng.uniform(55, 90)
    taken_at = started_at
    for number, (right, (primary, secondary)) in enumerate(_draw_views(rng), 1):
        taken_at += timedelta(seconds=int(rng.integers(40, 120)))
        arm = CArm(
            round(primary + rng.normal(0, 4), 1),
            round(secondary + rng.normal(0, 3), 1),
            _middle(tree, right) + rng.normal(0, 5, 3),
        )
        seconds = 1 / float(rng.choice([12, 12.5, 15]))
        contrast = _draw_contrast(rng, tree, right, arm, rate, seconds)
        frames = detector.expose(rng, draw_chest(rng, arm), contrast)
        yield Run(number, right, arm.primary, arm.secondary, taken_at, seconds, frames)


def _draw_views(rng: np.random.Generator) -> list[tuple[bool, tuple[float, float]]]:
    left, right = int(rng.integers(2, 4)), int(rng.integers(1, 3))
    more_left = rng.permutation(len(_LEFT_VIEWS) - 2)[: left - 2] + 2
    more_right = rng.permutation(len(_RIGHT_VIEWS) - 1)[: right - 1] + 1
    chosen = [_LEFT_VIEWS[i] for i in (0, 1, *more_left)], [_RIGHT_VIEWS[i] for i in (0, *more_right)]
    return [(False, view) for view in chosen[0]] + [(True, view) for view in chosen[1]]


def _middle(tree: Tree, right: bool) -> NDArray[np.float64]:
    """Between the ends of the injected artery, in each direction."""
    points = tree.points[tree.right == right]
    return (points.min(axis=0) + points.max(axis=0)) / 2


def _draw_contrast(
    rng: np.random.Generator, tree: Tree, right: bool, arm: CArm, rate: float, seconds: float
) -> Image:
    """Depth of contrast in mm (frames, SIZE, SIZE), catheter included."""
    shown = (tree.right == right) & tree.filled
    ostium = tree.points[tree.right == right][:1]
    points = np.vstack([_catheter(rng, ostium, right), tree.points[shown]])
    tube = len(points) - int(shown.sum())
    radius = np.append(np.full(tube, _CATHETER_MM / 2), tree.radius[shown])
    length = np.append(np.full(tube, STEP_MM), tree.length[shown])
    way = np.append(np.zeros(tube), tree.way[shown])
    fixed = np.append(1 - np.exp(-STEP_MM * np.arange(tube) / 20), np.zeros(len(points) - tube))[:, None]
    moments = np.arange(int(rng.integers(9, 11))) * seconds
    arrived = rng.uniform(0.8, 1.6) * seconds + way / (_FLOW_MM * rng.normal(1, 0.08))
    left = arrived + rng.uniform(5, 6) * seconds
    beats = rng.uniform() + moments * rate / 60
    drift = rng.normal(0, 1.5, 3)
    contrast = np.zeros((len(moments), SIZE, SIZE), dtype=np.float32)
    for image, moment, beat in zip(contrast, moments, beats, strict=True):
        filling = _ramp((moment - arrived) / 0.07) * (1 - 0.85 * _ramp((moment - left) / 0.3))
        filling[:tube] = 0.35 + 0.4 * filling[:tube]
        systole = (1 - np.cos(2 * np.pi * beat)) / 2
        moved = points * fixed + _contracted(points, systole) * (1 - fixed)
        add_thickness(image, arm.project(moved + drift * moment), radius, length * filling)
    return contrast


def _contracted(points: NDArray[np.float64], systole: float) -> NDArray[np.float64]:
    """Points (n, 3) of the epicardium when the heart has contracted from 0 (not) to 1 (all the way).

    The base moves towards the apex, which stays; the heart narrows towards its long axis.
    """
    along = points @ TO_APEX
    across = points - np.outer(along, TO_APEX)
    shorter = along + systole * 0.13 * (75 - along)
    return np.outer(shorter, TO_APEX) + across * (1 - 0.09 * systole)


def _catheter(rng: np.random.Generator, ostium: NDArray[np.float64], right: bool) -> NDArray[np.float64]:
    """Points (n, 3), ``STEP_MM`` apart: from the ostium (1, 3) to the aorta's far wall, then up and away."""
    far = np.array([14.0, 4.0, 0.0]) if right else np.array([-16.0, -6.0, 0.0])
    bends = np.array([0.5 * far, far, 0.8 * far, (18, 25, 0), (30, 45, 0)])
    bends[:, 2] = 3, 16, 55, 95, 130
    bends[1:] += rng.normal(0, 2, (4, 3))
    course = CubicSpline(np.arange(6), np.vstack([ostium, ostium + bends]))
    along = np.cumsum(np.linalg.norm(np.diff(course(np.linspace(0, 5, 100)), axis=0), axis=1))
    return course(np.interp(np.arange(0, along[-1], STEP_MM), np.insert(along, 0, 0), np.linspace(0, 5, 100)))


def _ramp(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)
