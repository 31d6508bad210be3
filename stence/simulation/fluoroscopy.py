"""X-ray imaging of vessels with a C-arm: projection, Beer-Lambert law, photon noise, display."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from stence.ecg.compiled import compiled

SIZE = 256
"""Rows and columns of the image."""
PIXEL_MM = 0.48
"""Pixel size at the isocentre."""
SOURCE_TO_PATIENT_MM = 750.0
_IODINE_PER_MM, _WATER_PER_MM = 0.17, 0.019
"""Attenuation of undiluted contrast agent, and of soft tissue."""

_LEVELS = 4096
"""Grey levels of the display."""
_NORMAL = ndtri((np.arange(2**16) + 0.5) / 2**16).astype(np.float32)
"""Quantiles of the normal distribution, to convert 16 random bits quickly into a normal number."""

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CArm:
    """primary: degrees towards left anterior oblique; secondary: towards the head (PS3.3 C.8.7.5.1.2).

    ``centre`` (3,) is the point in the middle of the image, mm in patient coordinates.
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
        """Project points (n, 3) by the cone of rays from the source to column, row, magnification (n, 3)."""
        seen = (points - self.centre) @ self.axes.T
        magnification = SOURCE_TO_PATIENT_MM / (SOURCE_TO_PATIENT_MM + seen[:, 2])
        return np.column_stack(
            [(SIZE - 1) / 2 + seen[:, :2] * (magnification / PIXEL_MM)[:, None], magnification]
        )


@compiled
def add_thickness(
    image: Image, seen: NDArray[np.float64], radius: NDArray[np.float64], weight: NDArray[np.float64]
) -> None:
    """Add the depth in mm of tubes to image (SIZE, SIZE); their points (n, 3) come from ``project``.

    Each point adds a disc of its radius (n,) in mm and of height ``weight`` (n,): its length of centreline in
    mm times the share of contrast agent in the blood. Discs along a line add up to the profile of a cylinder,
    2 sqrt(r^2 - d^2), and to more where the vessel is parallel to the rays. The edge is one pixel soft, and
    the volume is exact.
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


@dataclass(frozen=True, slots=True)
class Detector:
    """photons: quanta per pixel behind 200 mm of water; scatter: share of scattered quanta; gamma: of the
    display; corner: exponent of the collimator's opening, 2 for a circle, larger for a square."""

    photons: float
    scatter: float
    gamma: float
    corner: float

    def expose(self, rng: np.random.Generator, chest: Image, contrast: Image) -> Image:
        """Compute grey values 0-1 (frames, SIZE, SIZE) of chest (SIZE, SIZE) and contrast (frames, ...)."""
        quanta = (
            np.float32(1 - self.scatter) * self.photons * np.exp(np.float32(_WATER_PER_MM) * (200 - chest))
        )
        veil = np.float32(self.scatter / (1 - self.scatter) * quanta.mean())
        quanta += veil
        level = np.float32((_LEVELS - 1) / (1.1 * np.quantile(quanta, 0.96)))
        display = np.linspace(0, 1, _LEVELS, dtype=np.float32) ** np.float32(self.gamma)
        bits = rng.integers(0, 2**16, contrast.shape, dtype=np.uint16)
        _expose(contrast, bits, quanta, veil, level, display, _NORMAL)
        contrast *= _aperture(self.corner)
        return contrast


@compiled
def _expose(
    contrast: Image,
    bits: NDArray[np.uint16],
    quanta: Image,
    veil: np.float32,
    level: np.float32,
    display: Image,
    normal: Image,
) -> None:
    """Convert depths of contrast to grey values, in place: absorption, photon noise, display.

    quanta (SIZE, SIZE): expected without contrast, ``veil`` of them scattered; level: index in the table
    ``display`` per quantum; bits (frames, SIZE, SIZE): random, for the table ``normal``.
    """
    deviation, noise = np.sqrt(quanta), np.empty_like(quanta)
    for frame in range(len(contrast)):
        for row in range(SIZE):
            for column in range(SIZE):
                noise[row, column] = normal[bits[frame, row, column]]
        _spread(noise)
        for row in range(SIZE):
            for column in range(SIZE):
                expected, error = quanta[row, column], deviation[row, column]
                depth = contrast[frame, row, column]
                if depth > 0:
                    expected = veil + (expected - veil) * math.exp(-_IODINE_PER_MM * depth)
                    error = math.sqrt(expected)
                value = int((expected + noise[row, column] * error) * level)
                contrast[frame, row, column] = display[min(max(value, 0), len(display) - 1)]


@compiled
def _spread(noise: Image) -> None:
    """Blur the noise (SIZE, SIZE) over neighbouring pixels, as the scintillator does; in place."""
    for row in range(SIZE):
        for column in range(SIZE - 1):
            noise[row, column] = 0.7 * noise[row, column] + 0.3 * noise[row, column + 1]
    for row in range(SIZE - 1):
        for column in range(SIZE):
            noise[row, column] = 0.7 * noise[row, column] + 0.3 * noise[row + 1, column]


def _aperture(corner: float) -> Image:
    """Return the collimator's transmission (SIZE, SIZE), 0 outside its opening."""
    along = np.abs(np.linspace(-1, 1, SIZE, dtype=np.float32)) ** np.float32(corner)
    return np.clip((np.float32(1.12) - along[:, None] - along) * 12, 0, 1)
