"""Tissue in the X-ray path besides the vessels: lungs, heart, diaphragm, spine and ribs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stence.ecg.compiled import compiled
from stence.simulation.fluoroscopy import PIXEL_MM, SIZE, CArm, Image

_SPINE = np.array([-8.0, 70.0, 0.0])
_HEART = np.array([12.0, -18.0, -20.0])
"""Centres of spine and heart in patient coordinates, mm."""


def draw_chest(rng: np.random.Generator, arm: CArm) -> Image:
    """Draw the tissue in mm of water (SIZE, SIZE) at the C-arm's angles."""
    spine = arm.axes @ (_SPINE - arm.centre)
    heart = arm.axes @ (_HEART - arm.centre)
    chest = np.empty((SIZE, SIZE), dtype=np.float32)
    _fill(
        chest,
        rng.normal(150, 15),
        np.array([spine[0], rng.normal(0, 0.06), rng.uniform(0, 30)]),
        heart[:2],
        np.array([rng.normal(55, 9) + arm.secondary / 2, rng.normal(0, 25)]),
        np.array([rng.uniform(0, 34), rng.normal(0.25, 0.1) * (1 if arm.primary < 0 else -1)]),
        _clouds(rng, 9, 3.0) + _clouds(rng, 40, 1.5),
    )
    return chest


@compiled
def _fill(
    chest: Image,
    body: float,
    spine: NDArray[np.float64],
    heart: NDArray[np.float64],
    dome: NDArray[np.float64],
    ribs: NDArray[np.float64],
    clouds: Image,
) -> None:
    """Fill ``chest`` with the sum of all depths. In mm from the image's centre: spine (place, tilt, first
    disc), heart (right, down), the diaphragm's dome (down, right), ribs (first rib, slope)."""
    for row in range(SIZE):
        v = (row - (SIZE - 1) / 2) * PIXEL_MM
        for column in range(SIZE):
            u = (column - (SIZE - 1) / 2) * PIXEL_MM
            vertebra = 0.8 + 0.2 * math.cos((v - spine[2]) * 2 * math.pi / 30)
            in_heart = 1 - ((u - heart[0]) / 58) ** 2 - ((v - heart[1]) / 52) ** 2
            along = (v - ribs[0] - ribs[1] * u - 0.0025 * u * u) / 34
            from_rib = abs(along - round(along)) * 34
            chest[row, column] = (
                body
                + 62 * vertebra * _step((19 - abs(u - spine[0] - spine[1] * v)) / 1.6)
                + 45 * _step(in_heart * 5)
                + 55 * _step((v - dome[0] - 0.004 * (u - dome[1]) ** 2) / 1.5)
                + 4 * _step((4.5 - from_rib) / 0.8)
                + 3 * _step((from_rib - 3.2) / 0.4) * _step((5.2 - from_rib) / 0.4)
                + clouds[row, column]
            )


@compiled
def _step(x: float) -> float:
    """Compute the logistic function."""
    if abs(x) > 9:
        return 1.0 if x > 0 else 0.0
    return 1 / (1 + math.exp(-x))


def _clouds(rng: np.random.Generator, patches: int, depth: float) -> Image:
    """Draw blurred spots of tissue (SIZE, SIZE), ``patches`` spots from side to side."""
    away = np.arange(SIZE)[:, None] * (patches / SIZE) - np.arange(patches + 1)
    spot = np.exp(-(away**2) / 0.7)
    return (spot @ rng.normal(0, depth, (patches + 1, patches + 1)) @ spot.T).astype(np.float32)
