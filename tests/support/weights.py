"""Weights drawn from their names alone, as the reference embeddings were made with."""

from __future__ import annotations

import ast
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def drawn(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """New values for weights of these names and shapes; the same ones wherever they are drawn."""
    return {
        name: _drawn(name, tuple(tensor.shape)) if tensor.is_floating_point() else torch.zeros_like(tensor)
        for name, tensor in weights.items()
    }


def listed(path: Path) -> dict[str, Tensor]:
    """Names, shapes and types of a published file's weights, from a list of them; without values."""
    lines = [line.split("\t") for line in path.read_text().splitlines() if not line.startswith("#")]
    return {
        name: torch.zeros(ast.literal_eval(shape), dtype=getattr(torch, dtype))
        for name, shape, dtype in lines
    }


def noise(*shape: int) -> Tensor:
    """The input that the reference embeddings were made for."""
    return torch.from_numpy(np.random.default_rng(11).standard_normal(shape).astype(np.float32))


def _drawn(name: str, shape: tuple[int, ...]) -> Tensor:
    normal = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) == 1 and name.endswith("weight"):
        values = 1 + 0.1 * normal
    elif name.endswith("running_var"):
        values = 1 + 0.1 * np.abs(normal)
    elif len(shape) > 1:
        values = normal / math.sqrt(math.prod(shape[1:]))
    else:
        values = 0.02 * normal
    return torch.from_numpy(values).float()
