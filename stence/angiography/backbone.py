"""What turns key frames into patch features, and the ones there are by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from stence.errors import ConfigurationError

if TYPE_CHECKING:
    from stence.objects import ObjectStore
    from stence.settings import Settings

RIDGES = "ridges"
DINOV2 = "dinov2-vits14"
BACKBONES = (RIDGES, DINOV2)


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


def open_backbone(name: str, store: ObjectStore, settings: Settings, device: str) -> Backbone:
    """The backbone ``name``, one of BACKBONES, on ``device`` (``cpu`` or ``cuda``).

    ``ridges`` needs no weights and works on the CPU. ``dinov2-vits14`` reads its imported weights from the
    store. Raises ConfigurationError for another name, WeightsError where they are missing or altered.
    """
    if name == RIDGES:
        from stence.angiography.ridges import Ridges  # noqa: PLC0415 -- torch takes seconds to import

        return Ridges()
    if name == DINOV2:
        from stence.angiography.dinov2 import open_dinov2  # noqa: PLC0415

        return open_dinov2(store, settings, device)
    raise ConfigurationError(f"there is no backbone {name!r}; known: {', '.join(BACKBONES)}")


def check_frames(frames: NDArray[np.float32], side: int) -> None:
    """Raise ValueError unless ``frames`` is (n, side, side)."""
    if frames.ndim != 3 or frames.shape[1:] != (side, side):
        raise ValueError(f"this backbone reads (n, {side}, {side}), got {frames.shape}")
