"""A backbone without weights: features of the lines, narrowings and ends in each patch of a frame.

It replaces DINOv2 if the weights or a GPU are not available.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stence.angiography.backbone import check_frames
from stence.angiography.lines import DIRECTIONS, find_lines
from stence.angiography.tracing import NOTES, Note, trace

SIDE = 256
PATCH = 16
GRID = SIDE // PATCH
WAVES = 6
"""Number of cosines, for row and for column each, that encode a patch's position."""

SCALES = np.full(NOTES, 16.0, dtype=np.float32)
SCALES[Note.ENDED : Note.CRESTS] = 8
SCALES[Note.CRESTS] = 1 / 16
SCALES[Note.CALIBRE_SUM : Note.CRESTS_BY_ORIENTATION] = 4
SCALES[Note.CRESTS_BY_ORIENTATION :] = 1 / 8
"""Scales that bring the notes to a spread of about 1; narrowings are scaled higher, as rare and important."""


class Ridges:
    """See Backbone; always runs on the CPU."""

    version = "ridges-1"
    patch_dim = NOTES + 2 * WAVES
    tokens = GRID * GRID
    side = SIDE
    initial_blocks = None

    def features(self, frames: NDArray[np.float32]) -> NDArray[np.float16]:
        """Compute patch features (n, 256, 35) of frames (n, 256, 256)."""
        check_frames(frames, SIDE)
        return np.array([_patches(frame) for frame in frames], dtype=np.float16).reshape(
            len(frames), self.tokens, self.patch_dim
        )


def _patches(frame: NDArray[np.float32]) -> NDArray[np.float64]:
    lines = find_lines(frame)
    notes = trace(lines.strength, lines.orientation, DIRECTIONS, PATCH)
    notes[..., Note.CALIBRE_SUM] /= np.maximum(notes[..., Note.CRESTS], 1)
    return np.concatenate((notes * SCALES, PLACES), axis=2)


def _places() -> NDArray[np.float64]:
    """Return position codes of the patches (GRID, GRID, 2 * WAVES)."""
    middle = (np.arange(GRID) + 0.5) / GRID
    waves = np.cos(np.pi * np.multiply.outer(middle, np.arange(1, WAVES + 1)))
    down, across = np.broadcast_arrays(waves[:, None], waves[None])
    return np.concatenate((down, across), axis=2)


PLACES = _places()
