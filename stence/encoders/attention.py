"""The attention of OTiS: as published and trained, and folded for inference."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class DoubleAttention(nn.Module):
    """Self-attention that projects twice on the way in and twice on the way out, as OTiS does.

    Tokens (n, tokens, width) -> the first ``wanted`` of them (None: all), each attending to all tokens.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.mha = nn.MultiheadAttention(width, heads, batch_first=True)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, wanted: int | None = None) -> Tensor:
        query, key, value = self.qkv(tokens).chunk(3, dim=-1)
        attended, _ = self.mha(query[:, :wanted], key, value, need_weights=False)
        projected: Tensor = self.proj(attended)
        return projected


class FoldedAttention(nn.Module):
    """The function of a trained DoubleAttention with one projection in and one out."""

    def __init__(self, attention: DoubleAttention) -> None:
        super().__init__()
        mha = attention.mha
        self.heads = mha.num_heads
        self.query, self.key, self.value = (
            _folded(first, second)
            for first, second in zip(
                _thirds(attention.qkv.weight, attention.qkv.bias),
                _thirds(mha.in_proj_weight, mha.in_proj_bias),
                strict=True,
            )
        )
        out = mha.out_proj
        self.proj = _folded((out.weight, out.bias), (attention.proj.weight, attention.proj.bias))

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


Affine = tuple[Tensor, Tensor]
"""Weight (out, in) and bias (out,)."""


def _thirds(weight: Tensor, bias: Tensor) -> list[Affine]:
    """The query's, key's and value's parts of a joint projection."""
    return list(zip(weight.chunk(3), bias.chunk(3), strict=True))


@torch.no_grad()
def _folded(first: Affine, second: Affine) -> nn.Linear:
    """One layer for ``first`` followed by ``second``, multiplied in float64."""
    weight_1, bias_1, weight_2, bias_2 = (part.double() for part in (*first, *second))
    layer = nn.Linear(weight_1.shape[1], weight_2.shape[0], device=weight_1.device)
    layer.weight.copy_(weight_2 @ weight_1)
    layer.bias.copy_(weight_2 @ bias_1 + bias_2)
    return layer
