"""Building blocks of PTACL's encoder.

They do not use the ViTMAE of transformers. That has no layer scales, requires a square grid, and renames its
parts in every major version.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from stence.encoders.otis_blocks import Mlp

INITIAL_SCALE = 1e-5


class Attention(nn.Module):
    """Self-attention: tokens (n, tokens, width) -> the first ``wanted`` (None: all), each attends to all."""

    def __init__(self, width: int, heads: int, *, key_bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=key_bias)
        self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, wanted: int | None = None) -> Tensor:
        attended = functional.scaled_dot_product_attention(
            self._heads(self.query(tokens[:, :wanted])),
            self._heads(self.key(tokens)),
            self._heads(self.value(tokens)),
        )
        projected: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return projected

    def _heads(self, tokens: Tensor) -> Tensor:
        return tokens.view(*tokens.shape[:2], self.heads, -1).transpose(1, 2)


class LayerScale(nn.Module):
    """A trainable factor per channel (Touvron et al., arXiv 2103.17239)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((width,), INITIAL_SCALE))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens * self.weight


class Block(nn.Module):
    """A pre-norm transformer block: tokens (n, tokens, width) -> the first ``wanted`` tokens (None: all).

    A ``scaled`` block has a LayerScale on both branches, and keys without bias.
    """

    def __init__(self, width: int, heads: int, hidden: int, epsilon: float, *, scaled: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, epsilon)
        self.attention = Attention(width, heads, key_bias=not scaled)
        self.scale1: nn.Module = LayerScale(width) if scaled else nn.Identity()
        self.norm2 = nn.LayerNorm(width, epsilon)
        self.mlp = Mlp(width, hidden)
        self.scale2: nn.Module = LayerScale(width) if scaled else nn.Identity()

    def forward(self, tokens: Tensor, wanted: int | None = None) -> Tensor:
        tokens = tokens[:, :wanted] + self.scale1(self.attention(self.norm1(tokens), wanted))
        mapped: Tensor = tokens + self.scale2(self.mlp(self.norm2(tokens)))
        return mapped

    def fold(self) -> None:
        """Fold the layer scales into the preceding layers, for inference."""
        self.scale1 = _folded(self.attention.proj, self.scale1)
        self.scale2 = _folded(self.mlp.fc2, self.scale2)


@torch.no_grad()
def _folded(layer: nn.Linear, scale: nn.Module) -> nn.Module:
    """Fold ``scale`` into ``layer`` in place. Return an identity, which takes the place of ``scale``."""
    if isinstance(scale, LayerScale):
        layer.weight.mul_(scale.weight[:, None])
        layer.bias.mul_(scale.weight)
    return nn.Identity()
