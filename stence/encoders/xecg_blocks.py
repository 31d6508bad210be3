"""Building blocks of xECG's sLSTM and mLSTM blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CONV_STEPS = 4
NORM_EPSILON = 1e-5


def split(tokens: Tensor, heads: int) -> Tensor:
    """Split tokens (..., width) into heads -> (..., heads, width / heads)."""
    return tokens.reshape(*tokens.shape[:-1], heads, -1)


class OffsetNorm(nn.Module):
    """Layer normalisation of (..., width) within each of ``heads`` equal parts, and a scale.

    The weight is stored as scale - 1.
    """

    def __init__(self, width: int, heads: int = 1) -> None:
        super().__init__()
        self.heads = heads
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, tokens: Tensor) -> Tensor:
        parts = split(tokens, self.heads)
        normalised = functional.layer_norm(parts, parts.shape[-1:], eps=NORM_EPSILON)
        return normalised.flatten(-2) * (1 + self.weight)


class CausalConv(nn.Module):
    """Causal depthwise convolution over tokens (n, tokens, width), then SiLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, CONV_STEPS, groups=width)

    def forward(self, tokens: Tensor) -> Tensor:
        past = functional.pad(tokens.mT, (CONV_STEPS - 1, 0))
        return functional.silu(self.conv(past).mT)


class Headwise(nn.Module):
    """Weights of separate linear layers for each of ``heads`` equal parts of the channels."""

    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(heads, width, width))
        nn.init.normal_(self.weight, std=(2 / (5 * width)) ** 0.5)


def headwise(tokens: Tensor, *layers: Headwise) -> Tensor:
    """Apply ``layers`` to tokens (n, tokens, heads * width) in one matrix product.

    The result is (heads, n, tokens, layers * width).
    """
    weight = torch.cat([layer.weight for layer in layers], dim=1)
    parts = split(tokens, len(weight)).permute(2, 0, 1, 3)
    mapped = torch.bmm(parts.flatten(1, 2), weight.mT)
    return mapped.view(*parts.shape[:3], -1)


class GatedMlp(nn.Module):
    """Two linear layers. One half of the first layer's outputs gates the other half."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.proj_up = nn.Linear(width, 2 * hidden, bias=False)
        self.proj_down = nn.Linear(hidden, width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        gate, value = self.proj_up(tokens).chunk(2, dim=-1)
        mapped: Tensor = self.proj_down(functional.gelu(gate) * value)
        return mapped
