"""Interface of the backbones, which turn key frames into patch features."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Backbone(Protocol):
    """Frames (n, ``side``, ``side``) float32 in 0..1, vessels dark -> patch features, the same every time."""

    version: str
    """Changes whenever the features of a frame do; part of the key that features are kept under."""
    patch_dim: int
    """Numbers a patch has."""
    tokens: int
    """Patches a frame has."""
    side: int
    """Rows and columns a frame must have."""

    def features(self, frames: NDArray[np.float32]) -> NDArray[np.float16]:
        """Patch features (n, ``tokens``, ``patch_dim``), row by row of patches.

        A frame's do not depend on the others. Raises ValueError for frames of another size.
        """


def check_frames(frames: NDArray[np.float32], side: int) -> None:
    """Raise ValueError unless ``frames`` is (n, side, side)."""
    if frames.ndim != 3 or frames.shape[1:] != (side, side):
        raise ValueError(f"this backbone reads (n, {side}, {side}), got {frames.shape}")
