"""Interface of the backbones, which compute patch features of key frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class Backbone(Protocol):
    """Frames (n, ``side``, ``side``) float32 in 0..1, vessels dark -> patch features; deterministic."""

    version: str
    """Version of the features, part of their key in the store; changes whenever the features change."""
    patch_dim: int
    """Feature dimension of a patch."""
    tokens: int
    """Number of patches per frame."""
    side: int
    """Number of rows and of columns of a frame."""

    @property
    def initial_blocks(self) -> Mapping[str, Tensor] | None:
        """Initial weights of the last blocks, if the teacher trains them; else None.

        If it does, ``features`` are the states that enter the first of them; ``tokens`` counts the class
        token too.
        """

    def features(self, frames: NDArray[np.float32]) -> NDArray[np.float16]:
        """Compute patch features (n, ``tokens``, ``patch_dim``), row by row of patches.

        A frame's features do not depend on the other frames. Raises ValueError for frames of another size.
        """


def check_frames(frames: NDArray[np.float32], side: int) -> None:
    """Raise ValueError unless ``frames`` is (n, side, side)."""
    if frames.ndim != 3 or frames.shape[1:] != (side, side):
        raise ValueError(f"this backbone reads (n, {side}, {side}), got {frames.shape}")
