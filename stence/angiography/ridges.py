"""A backbone without weights: what a fixed bank of filters for dark ridges sees in each patch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from stence.angiography.backbone import PATCH_DIM, check_frames

SIDE = 224
GRID = 8
CELLS = 2
SCALES = (1.0, 1.7, 2.8, 4.6)
ORIENTATIONS = 8


class Ridges:
    """See Backbone; on the CPU, whatever the device."""

    version = "ridges-1"
    patch_dim = PATCH_DIM
    tokens = GRID * GRID
    side = SIDE

    def features(self, frames: NDArray[np.float32]) -> NDArray[np.float16]:
        """Patch features (n, 64, 384) of frames (n, 224, 224)."""
        check_frames(frames, SIDE)
        return np.stack([_frame_features(torch.from_numpy(frame)) for frame in frames]).astype(np.float16)


def _frame_features(frame: Tensor) -> NDArray[np.float32]:
    image = frame[None, None]
    image = (image - image.mean()) / (image.std() + 1e-3)
    maps = torch.cat([_oriented(image, sigma) for sigma in SCALES], dim=1)
    size = SIDE // GRID // CELLS
    mean = functional.avg_pool2d(maps, size)
    peak = functional.max_pool2d(maps, size)
    spread = (functional.avg_pool2d(maps * maps, size) - mean * mean).clamp_min(0).sqrt()
    pooled = torch.cat((3 * mean, peak, spread), dim=1)
    return functional.pixel_unshuffle(pooled, CELLS)[0].flatten(1).T.contiguous().numpy()


def _oriented(image: Tensor, sigma: float) -> Tensor:
    radius = int(3 * sigma + 0.5)
    x = torch.arange(-radius, radius + 1, dtype=torch.float32)
    gauss = torch.exp(-0.5 * (x / sigma) ** 2)
    gauss /= gauss.sum()
    first, second = -x / sigma * gauss, (x * x / sigma**2 - 1) * gauss
    padded = functional.pad(image, (radius,) * 4, mode="reflect")

    def filtered(across: Tensor, down: Tensor) -> Tensor:
        return functional.conv2d(functional.conv2d(padded, across.view(1, 1, 1, -1)), down.view(1, 1, -1, 1))

    xx, xy, yy = filtered(second, gauss), filtered(first, first), filtered(gauss, second)
    angles = torch.arange(ORIENTATIONS) * torch.pi / ORIENTATIONS
    cos, sin = angles.cos().view(-1, 1, 1), angles.sin().view(-1, 1, 1)
    return (xx * cos * cos + 2 * xy * cos * sin + yy * sin * sin).relu()
