"""Position of the C-arm: a fixed sine-cosine code of the grid cell of its two angles."""

from __future__ import annotations

import torch
from torch import Tensor

CELLS = 16
"""Number of grid cells along each angle."""
LOWEST = (-70.0, -50.0)
HIGHEST = (110.0, 50.0)
"""Bounds of the grid in degrees: primary angle, secondary angle."""


def cells(angulations: Tensor) -> Tensor:
    """Return the grid cells (..., 2) of angles (..., 2) in degrees, primary and secondary.

    Angles outside the grid get the nearest cell.

    >>> cells(torch.tensor([[-30.0, 20.0], [170.0, 0.0]])).tolist()
    [[3, 11], [15, 8]]
    """
    low, high = (torch.tensor(ends, device=angulations.device) for ends in (LOWEST, HIGHEST))
    places = ((angulations.float() - low) / ((high - low) / CELLS)).floor()
    return places.clamp(0, CELLS - 1).long()


def angle_table(width: int) -> Tensor:
    """Return the codes of all cells (16, 16, width).

    The first half encodes the secondary angle, the second half the primary angle. Raises ValueError unless
    ``width`` is a multiple of 4.
    """
    if width % 4:
        raise ValueError(f"the width of an angle's code must be a multiple of 4, not {width}")
    half = width // 2
    frequencies = 10000.0 ** (-torch.arange(0, half, 2, dtype=torch.float64) / half)
    phases = torch.outer(torch.arange(CELLS, dtype=torch.float64), frequencies)
    codes = torch.stack((phases.sin(), phases.cos()), dim=-1).flatten(1).float()
    secondary, primary = codes.expand(CELLS, -1, -1), codes[:, None].expand(-1, CELLS, -1)
    return torch.cat((secondary, primary), dim=-1)
