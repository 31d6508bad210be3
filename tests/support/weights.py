"""Weights drawn from their names alone, as the reference embeddings were made with."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def drawn(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """New values for weights of these names and shapes; the same ones wherever they are drawn."""
    return {name: _drawn(name, tuple(tensor.shape)) for name, tensor in weights.items()}


def _drawn(name: str, shape: tuple[int, ...]) -> Tensor:
    normal = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) == 1 and name.endswith("weight"):
        values = 1 + 0.1 * normal
    elif len(shape) > 1:
        values = normal / math.sqrt(math.prod(shape[1:]))
    else:
        values = 0.02 * normal
    return torch.from_numpy(values).float()
