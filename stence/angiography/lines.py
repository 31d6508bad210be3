"""Dark lines in a frame: strength and direction at every pixel.

A pixel is on a line if the frame, averaged over a few pixels along a direction, absorbs more there than on
both sides. Borders of the spine, ribs and diaphragm are darker than one side only. Structures of the lungs
change too slowly. Nothing is learned.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from stence.ecg.compiled import compiled

ORIENTATIONS = 8
HEADINGS = 2 * ORIENTATIONS
BLUR = 1.0
HALF_LENGTH = 1.5
HALF_WIDTHS = (2.2, 3.6, 5.2)
"""Pixels from a line's middle to just outside it: arteries of up to 4 mm in a frame of 256 pixels."""
DARKEST = 0.03
"""Floor of the brightness, as a share of the brightest pixel."""
COLLIMATED = 0.06
COLLIMATOR = 13
COLLIMATED_REACH = 16
"""A square of COLLIMATOR pixels that is darker than COLLIMATED everywhere is the collimator. Pixels within
COLLIMATED_REACH of it are ignored. Arteries are narrower than the square, even if they are dark."""
STRONG_SHARE = 0.985
"""Share of a frame's pixels that are not on a large artery."""
PADDING = 10

_ANGLES = np.arange(HEADINGS) * np.pi / ORIENTATIONS
DIRECTIONS = np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)])
"""Columns and rows (HEADINGS, 2) of a step of one pixel in each direction, 22.5 degrees apart."""
_NORMALS = np.column_stack([-DIRECTIONS[:, 1], DIRECTIONS[:, 0]])
_ALONG = np.rint(HALF_LENGTH * DIRECTIONS[:ORIENTATIONS]).astype(np.int64)
_ASIDE = np.rint(np.multiply.outer(HALF_WIDTHS, _NORMALS[:ORIENTATIONS])).astype(np.int64)


class Lines(NamedTuple):
    """``strength`` (rows, columns), about 1 on the frame's large arteries and 0 off any line; ``orientation``
    (rows, columns), index in DIRECTIONS, below ORIENTATIONS, of the direction along the line."""

    strength: NDArray[np.float32]
    orientation: NDArray[np.int64]


def find_lines(frame: NDArray[np.float32]) -> Lines:
    """Find the dark lines of a frame (rows, columns) in 0..1."""
    relative = frame / max(float(frame.max()), 1e-6)
    absorbed: NDArray[np.float32] = ndimage.gaussian_filter(
        -np.log(np.maximum(relative, DARKEST)), BLUR, mode="nearest", truncate=3
    )
    strength = np.zeros_like(absorbed)
    orientation = np.zeros(absorbed.shape, dtype=np.int64)
    _strongest(np.pad(absorbed, PADDING, mode="edge"), _ALONG, _ASIDE, strength, orientation)
    strength[_collimated(relative)] = 0
    strength /= _typical(strength)
    return Lines(strength, orientation)


def _collimated(frame: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mask of the collimator and the pixels near it."""
    covered = ndimage.minimum_filter(frame < COLLIMATED, COLLIMATOR)
    near: NDArray[np.bool_] = ndimage.maximum_filter(covered, COLLIMATOR + 2 * COLLIMATED_REACH)
    return near


def _typical(strength: NDArray[np.float32]) -> np.float32:
    """Return the strength of the frame's large arteries, for normalization of its contrast."""
    sample = strength[::2, ::2].ravel()
    rank = int(STRONG_SHARE * sample.size)
    return np.float32(np.partition(sample, rank)[rank] + 1e-4)


@compiled
def _strongest(
    padded: NDArray[np.float32],
    along: NDArray[np.int64],
    aside: NDArray[np.int64],
    strength: NDArray[np.float32],
    orientation: NDArray[np.int64],
) -> None:
    """Fill ``strength`` and ``orientation`` from the absorption, padded by PADDING on every side."""
    averaged = np.empty_like(padded)
    for k in range(len(along)):
        _average(padded, along[k, 0], along[k, 1], averaged)
        for width in range(len(aside)):
            across, down = aside[width, k]
            for i in range(strength.shape[0]):
                for j in range(strength.shape[1]):
                    row, column = i + PADDING, j + PADDING
                    darker_side = max(
                        averaged[row + down, column + across], averaged[row - down, column - across]
                    )
                    excess = averaged[row, column] - darker_side
                    if excess > strength[i, j]:
                        strength[i, j] = excess
                        orientation[i, j] = k


@compiled
def _average(padded: NDArray[np.float32], across: int, down: int, averaged: NDArray[np.float32]) -> None:
    """Average each pixel with the pixels one step ahead and one step behind."""
    third = np.float32(1 / 3)
    for i in range(abs(down), padded.shape[0] - abs(down)):
        for j in range(abs(across), padded.shape[1] - abs(across)):
            ends = padded[i + down, j + across] + padded[i - down, j - across]
            averaged[i, j] = (ends + padded[i, j]) * third
