"""Choose the frames of a run, resize them to a backbone's square input, and augment them for training."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from stence.ecg.compiled import compiled_exactly

AUGMENTATION_VERSION = "1"
"""Version of ``augmented``, part of the features' key; changes whenever its pixels change."""

AREA = (0.5, 1.5)
"""Area of the window as a share of the frame's area. Above 1 the window contains the frame, and the frame's
border values fill the rest, because black padding would look like contrast agent."""
ASPECT = 4 / 3
"""The window's aspect ratio differs from the frame's by at most this factor."""
ROTATION = 10.0
"""Degrees either way."""
JITTER = 0.8
"""Brightness and contrast are each multiplied by 1 +- this."""
BLUR_RADIUS = 2
BLUR_SIGMA = (1.0, 2.0)
BLUR_SIDE = 518
"""The blur's sigma is in pixels of a frame of this side, so it removes the same detail at every size."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Parameters of one augmentation: width, height and centre of the window as fractions of the frame,
    rotation in degrees, sigma in pixels of BLUR_SIDE."""

    width: float
    height: float
    centre_x: float
    centre_y: float
    rotation: float
    brightness: float
    contrast: float
    blur_sigma: float


UNCHANGED = Changes(1, 1, 0.5, 0.5, rotation=0, brightness=1, contrast=1, blur_sigma=0)


def frames_around(key_frame: int, frames: int, count: int) -> list[int]:
    """Return ``count`` consecutive frames of a run of ``frames`` frames, counted from 0, by time.

    The key frame is in their middle; of an even number, one more comes after it. At an end of the run, they
    are the frames nearest to the key frame. Of a shorter run, the last frame is repeated.

    >>> frames_around(5, 8, 3), frames_around(7, 8, 3), frames_around(4, 8, 2), frames_around(0, 2, 3)
    ([4, 5, 6], [5, 6, 7], [4, 5], [0, 1, 1])
    """
    first = max(0, min(key_frame - (count - 1) // 2, frames - count))
    return [min(first + place, frames - 1) for place in range(count)]


def augmented(
    frame: NDArray[np.float32], side: int, version_number: int, seed_text: str
) -> NDArray[np.float32]:
    """Resize and augment a frame (rows, columns) in 0..1 to (side, side) in 0..1.

    Number 0 is the whole frame without its aspect ratio, as published. Other numbers are random windows of
    it, rotated, changed in brightness and contrast, and blurred, seeded by ``seed_text`` and number.
    """
    changes = draw(version_number, seed_text) if version_number else UNCHANGED
    image = _brightened(_warped(frame, side, changes), changes)
    sigma = changes.blur_sigma * side / BLUR_SIDE
    blurred: NDArray[np.float32] = ndimage.gaussian_filter(image, sigma, mode="mirror", radius=BLUR_RADIUS)
    return blurred


def draw(version_number: int, seed_text: str) -> Changes:
    """Draw the parameters that belong to a number and a seed text."""
    digest = hashlib.sha256(f"{version_number} {seed_text}".encode()).digest()
    rng = np.random.default_rng(np.frombuffer(digest, dtype="<u4"))
    length = math.sqrt(rng.uniform(*AREA))
    stretch = math.sqrt(ASPECT) ** rng.uniform(-1, 1)
    width, height = length * stretch, length / stretch
    centre_x, centre_y = (0.5 + (1 - size) * rng.uniform(-0.5, 0.5) for size in (width, height))
    return Changes(
        width,
        height,
        centre_x,
        centre_y,
        rotation=rng.uniform(-ROTATION, ROTATION),
        brightness=rng.uniform(1 - JITTER, 1 + JITTER),
        contrast=rng.uniform(1 - JITTER, 1 + JITTER),
        blur_sigma=rng.uniform(*BLUR_SIGMA),
    )


def _brightened(image: NDArray[np.float32], changes: Changes) -> NDArray[np.float32]:
    """Scale brightness, then contrast about the mean; clip both to 0..1."""
    image = np.clip(image * changes.brightness, 0, 1)
    mean = image.mean()
    return np.clip(mean + changes.contrast * (image - mean), 0, 1)


def _warped(frame: NDArray[np.float32], side: int, changes: Changes) -> NDArray[np.float32]:
    """Crop, rotate and resize in one interpolation.

    If an output pixel covers several input pixels, it is the mean of as many samples.
    """
    rows, columns = frame.shape
    across, down = changes.width * columns / side, changes.height * rows / side
    samples = max(1, round(max(across, down)))
    cos, sin = math.cos(math.radians(changes.rotation)), math.sin(math.radians(changes.rotation))
    steps = np.array([[cos * down, sin * across], [-sin * down, cos * across]]) / samples
    centre = np.array([changes.centre_y * rows, changes.centre_x * columns])
    first = centre - 0.5 - steps.sum(axis=1) * (side * samples - 1) / 2
    return _sampled(np.ascontiguousarray(frame, dtype=np.float32), first, steps, side, samples)


@compiled_exactly
def _sampled(
    frame: NDArray[np.float32],
    first: NDArray[np.float64],
    steps: NDArray[np.float64],
    side: int,
    samples: int,
) -> NDArray[np.float32]:
    """Return (side, side) means of ``samples`` x ``samples`` interpolated values each.

    ``first`` is row and column of the first value in ``frame``; column j of ``steps`` is the change of row
    and column along axis j of the result.
    """
    last_row, last_column = frame.shape[0] - 1.0, frame.shape[1] - 1.0
    result = np.zeros((side, side), dtype=np.float32)
    for i in range(side * samples):
        for j in range(side * samples):
            y = min(max(first[0] + i * steps[0, 0] + j * steps[0, 1], 0.0), last_row)
            x = min(max(first[1] + i * steps[1, 0] + j * steps[1, 1], 0.0), last_column)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, int(last_row)), min(left + 1, int(last_column))
            down, across = np.float32(y - top), np.float32(x - left)
            above = frame[top, left] + across * (frame[top, right] - frame[top, left])
            below = frame[bottom, left] + across * (frame[bottom, right] - frame[bottom, left])
            result[i // samples, j // samples] += above + down * (below - above)
    return result / np.float32(samples * samples)
