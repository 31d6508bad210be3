"""Simulate a patient's coronary angiography: its runs and their frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from stence.simulation.chest import draw_chest
from stence.simulation.coronary_tree import Tree, draw_tree
from stence.simulation.fluoroscopy import CArm, Detector, Image
from stence.simulation.injection import draw_contrast
from stence.simulation.patients import Patient

_LEFT_VIEWS = ((-25.0, -22.0), (42.0, 24.0), (-20.0, 28.0), (2.0, 32.0), (42.0, -24.0))
_RIGHT_VIEWS = ((38.0, 2.0), (-30.0, 2.0), (8.0, 26.0))
"""Usual primary and secondary angles in degrees; the first views are in every study."""


@dataclass(frozen=True, slots=True)
class Run:
    """A cine run of one artery: frames (n, rows, columns) of grey 0-1, ``frame_seconds`` apart."""

    number: int
    right: bool
    primary: float
    secondary: float
    taken_at: datetime
    frame_seconds: float
    frames: Image


def draw_runs(rng: np.random.Generator, patient: Patient, started_at: datetime) -> Iterator[Run]:
    """Yield a study's three to five runs, the left artery first."""
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
        contrast = draw_contrast(rng, tree, right, arm, rate, seconds)
        frames = detector.expose(rng, draw_chest(rng, arm), contrast)
        yield Run(number, right, arm.primary, arm.secondary, taken_at, seconds, frames)


def _draw_views(rng: np.random.Generator) -> list[tuple[bool, tuple[float, float]]]:
    """Draw the views in order: True for the right artery, and primary and secondary angle."""
    left, right = int(rng.integers(2, 4)), int(rng.integers(1, 3))
    more_left = rng.permutation(len(_LEFT_VIEWS) - 2)[: left - 2] + 2
    more_right = rng.permutation(len(_RIGHT_VIEWS) - 1)[: right - 1] + 1
    chosen = [_LEFT_VIEWS[i] for i in (0, 1, *more_left)], [_RIGHT_VIEWS[i] for i in (0, *more_right)]
    return [(False, view) for view in chosen[0]] + [(True, view) for view in chosen[1]]


def _middle(tree: Tree, right: bool) -> NDArray[np.float64]:
    """Return the centre of the injected artery's bounding box."""
    points = tree.points[tree.right == right]
    return (points.min(axis=0) + points.max(axis=0)) / 2
