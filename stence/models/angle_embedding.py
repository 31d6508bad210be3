"""Where the C-arm stood: a fixed sine-cosine code of the cell that its two angles fall into."""

from __future__ import annotations

import torch
from torch import Tensor

CELLS = 16
"""Of the grid, along each angle."""
LOWEST = (-70.0, -50.0)
HIGHEST = (110.0, 50.0)
"""Degrees that the grid spans along the primary and the secondary angle."""


def cells(angulations: Tensor) -> Tensor:
    """The grid's cells (..., 2) of angles (..., 2) in degrees, primary and secondary; outside the nearest."""
    low, high = (torch.tensor(ends, device=angulations.device) for ends in (LOWEST, HIGHEST))
    places = ((angulations.float() - low) / ((high - low) / CELLS)).floor()
    return places.clamp(0, CELLS - 1).long()


def angle_table(width: int) -> Tensor:
    """The codes of all cells (16, 16, width): the first half tells the secondary angle, the rest the primary.

    Raises ValueError unless ``width`` is a multiple of 4.
    """
    if width % 4:
        raise ValueError(f"the width of an angle's code must be a multiple of 4, not {width}")
    half = width // 2
    frequencies = 10000.0 ** (-torch.arange(0, half, 2, dtype=torch.float64) / half)
    phases = torch.outer(torch.arange(CELLS, dtype=torch.float64), frequencies)
    codes = torch.stack((phases.sin(), phases.cos()), dim=-1).flatten(1).float()
    secondary, primary = codes.expand(CELLS, -1, -1), codes[:, None].expand(-1, CELLS, -1)
    return torch.cat((secondary, primary), dim=-1)
