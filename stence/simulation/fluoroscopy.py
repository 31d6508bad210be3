"""The X-ray side: how a C-arm sees vessels, chest and catheter. Beer and Lambert's law, photons, detector."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stence.ecg.compiled import compiled

SIZE = 256
"""Rows and columns."""
PIXEL_MM = 0.48
"""Of the image at the isocentre."""
SOURCE_TO_PATIENT_MM = 750.0
IODINE_PER_MM, WATER_PER_MM = 0.17, 0.019
"""Attenuation of undiluted contrast medium, and of soft tissue."""

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CArm:
    """primary: degrees towards left anterior oblique; secondary: towards the head (PS3.3 C.8.7.5.1.2).

    ``centre`` is what the operator put into the middle of the image (3,), mm in patient coordinates.
    """

    primary: float
    secondary: float
    centre: NDArray[np.float64]

    @property
    def axes(self) -> NDArray[np.float64]:
        """Rows: image's right, image's down, towards the detector; (3, 3) in patient coordinates.

        With both angles 0 the detector is in front and the patient's left is on the right.
        """
        a, b = math.radians(self.primary), math.radians(self.secondary)
        right = (math.cos(a), math.sin(a), 0.0)
        detector = (math.sin(a) * math.cos(b), -math.cos(a) * math.cos(b), math.sin(b))
        down = np.cross(right, detector)
        return np.array([right, down, detector])

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Column, row and magnification (n, 3) of points (n, 3), by the cone of rays from the source."""
        seen = (points - self.centre) @ self.axes.T
        magnification = SOURCE_TO_PATIENT_MM / (SOURCE_TO_PATIENT_MM + seen[:, 2])
        return np.column_stack(
            [(SIZE - 1) / 2 + seen[:, :2] * (magnification / PIXEL_MM)[:, None], magnification]
        )


@compiled
def add_thickness(
    image: Image, seen: NDArray[np.float64], radius: NDArray[np.float64], weight: NDArray[np.float64]
) -> None:
    """Add the depth in mm of tubes to image (SIZE, SIZE), whose points (n, 3) ``project`` has placed.

    Each point adds a disc of its radius (n,) in mm and of height ``weight`` (n,), the length of centreline in
    mm that it stands for, times what share of the blood is contrast. Discs along a line add up to the
    profile of a cylinder, 2 sqrt(r^2 - d^2), and to more where the vessel runs along the rays. The edge is
    as soft as a pixel is wide, and the volume right.
    """
    for i in range(len(seen)):
        x, y, r = seen[i, 0], seen[i, 1], radius[i] * seen[i, 2] / PIXEL_MM
        if weight[i] <= 0:
            continue
        reach = r + 0.75
        flat = max(reach - 1, 0.0)
        volume = math.pi / 3 * (reach * reach + reach * flat + flat * flat) * min(reach, 1.0)
        height = weight[i] * math.pi * r * r / volume
        for row in range(max(0, math.ceil(y - reach)), min(SIZE - 1, math.floor(y + reach)) + 1):
            for column in range(max(0, math.ceil(x - reach)), min(SIZE - 1, math.floor(x + reach)) + 1):
                far = math.sqrt((column - x) ** 2 + (row - y) ** 2)
                image[row, column] += height * min(max(reach - far, 0.0), 1.0)


def draw_chest(rng: np.random.Generator, arm: CArm) -> Image:
    """Tissue in mm of water (SIZE, SIZE): lungs, heart, diaphragm, spine and ribs at the C-arm's angles."""
    axes = arm.axes
    spine = axes @ (np.array([-8.0, 70.0, 0.0]) - arm.centre)
    numbers = np.array(
        [
            spine[0],
            rng.normal(0, 0.06),
            rng.uniform(0, 30),
            *(axes @ (np.array([12.0, -18.0, -20.0]) - arm.centre))[:2],
            rng.normal(55, 9) + arm.secondary * 0.5,
            rng.normal(0, 25),
            rng.uniform(0, 34),
            rng.normal(0.25, 0.1) * (1 if arm.primary < 0 else -1),
            rng.normal(150, 15),
        ]
    )
    clouds = rng.normal(0, 5, (12, 12)).astype(np.float32)
    chest = np.empty((SIZE, SIZE), dtype=np.float32)
    _chest(chest, numbers, clouds)
    return chest


@compiled
def _chest(chest: Image, numbers: NDArray[np.float64], clouds: Image) -> None:
    spine_x, tilt, disc, heart_x, heart_y, diaphragm, dome, rib, slope, body = numbers
    for row in range(SIZE):
        v = (row - (SIZE - 1) / 2) * PIXEL_MM
        for column in range(SIZE):
            u = (column - (SIZE - 1) / 2) * PIXEL_MM
            depth = body
            off = abs(u - spine_x - tilt * v)
            vertebra = 0.8 + 0.2 * math.cos((v - disc) * 2 * math.pi / 30)
            depth += 62 * vertebra / (1 + math.exp((off - 19) / 1.6))
            wide = ((u - heart_x) / 58) ** 2 + ((v - heart_y) / 52) ** 2
            depth += 45 / (1 + math.exp((wide - 1) * 5))
            edge = diaphragm + 0.004 * (u - dome) ** 2
            depth += 55 / (1 + math.exp((edge - v) / 1.5))
            across = (v - rib - slope * u - 0.0025 * u * u) / 34
            across = abs(across - round(across)) * 34
            depth += 7 / (1 + math.exp((across - 4.5) / 0.7)) + 5 * math.exp(-(((across - 4.2) / 0.9) ** 2))
            depth += _between(clouds, row * 10.9 / SIZE, column * 10.9 / SIZE)
            chest[row, column] = depth


@compiled
def _between(grid: Image, y: float, x: float) -> float:
    """The grid's value at a place between its points, smoothly."""
    top, left = int(y), int(x)
    down, right = y - top, x - left
    down, right = down * down * (3 - 2 * down), right * right * (3 - 2 * right)
    above = grid[top, left] * (1 - right) + grid[top, left + 1] * right
    below = grid[top + 1, left] * (1 - right) + grid[top + 1, left + 1] * right
    return above * (1 - down) + below * down


@dataclass(frozen=True, slots=True)
class Detector:
    """photons: a pixel's quanta behind 200 mm of water; scatter: share of what arrives that carries no image;
    gamma: of the display; corner: of the collimator's opening, 2 for a circle, larger for a square."""

    photons: float
    scatter: float
    gamma: float
    corner: float

    def expose(self, rng: np.random.Generator, chest: Image, contrast: Image) -> Image:
        """Grey values 0-1 (frames, SIZE, SIZE) behind chest (SIZE, SIZE) and contrast (frames, ...) in mm."""
        quanta = self.photons * np.exp(np.float32(WATER_PER_MM) * (200 - chest))
        veil = self.scatter * float(quanta.mean())
        quanta *= np.float32(1 - self.scatter)
        white = 1.1 * (float(np.quantile(quanta, 0.96)) + veil)
        display = np.linspace(0, 1, _LEVELS, dtype=np.float32) ** np.float32(self.gamma)
        noise = rng.standard_normal(contrast.shape, dtype=np.float32)
        _blur(noise)
        _expose(contrast, noise, quanta, veil, white, display, _aperture(self.corner))
        return contrast


_LEVELS = 4096


@compiled
def _blur(noise: Image) -> None:
    """Spread each pixel (frames, SIZE, SIZE) over its neighbours, as the scintillator does; in place."""
    for frame in noise:
        for row in range(SIZE):
            for column in range(SIZE - 1):
                frame[row, column] = 0.7 * frame[row, column] + 0.3 * frame[row, column + 1]
        for row in range(SIZE - 1):
            for column in range(SIZE):
                frame[row, column] = 0.7 * frame[row, column] + 0.3 * frame[row + 1, column]


@compiled
def _expose(
    contrast: Image, noise: Image, quanta: Image, veil: float, white: float, display: Image, aperture: Image
) -> None:
    """Depths of contrast become greys, in place: absorption, scatter, photons, display, collimator."""
    for frame in range(len(contrast)):
        for row in range(SIZE):
            for column in range(SIZE):
                depth = contrast[frame, row, column]
                through = math.exp(-IODINE_PER_MM * depth) if depth > 0 else 1.0
                mean = quanta[row, column] * through + veil
                count = mean + noise[frame, row, column] * math.sqrt(mean)
                level = int(min(max(count / white, 0.0), 1.0) * (_LEVELS - 1) + 0.5)
                contrast[frame, row, column] = display[level] * aperture[row, column]


def _aperture(corner: float) -> Image:
    """What the collimator lets through (SIZE, SIZE), 0 outside of it."""
    along = np.abs(np.linspace(-1, 1, SIZE, dtype=np.float32)) ** np.float32(corner)
    return np.clip((np.float32(1.12) - along[:, None] - along) * 12, 0, 1)
