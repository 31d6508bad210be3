"""The attention of OTiS: as published and trained, and folded for inference."""

from __future__ import annotations

from copy import deepcopy
from itertools import starmap

import torch
from torch import Tensor, nn
from torch.nn import functional

Affine = tuple[Tensor, Tensor]
"""Weight (out, in) and bias (out,)."""


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
        return _attend(tokens, wanted, self.mha.num_heads, self.affines())

    def affines(self) -> list[Affine]:
        """Of query, key, value and the way out, one each: products of weights are cheaper than of tokens."""
        mha, out = self.mha, self.mha.out_proj
        twice = zip(
            [*_thirds(self.qkv.weight, self.qkv.bias), (out.weight, out.bias)],
            [*_thirds(mha.in_proj_weight, mha.in_proj_bias), (self.proj.weight, self.proj.bias)],
            strict=True,
        )
        return list(starmap(_folded, twice))


class FoldedAttention(nn.Module):
    """The function of a trained DoubleAttention with one projection in and one out."""

    def __init__(self, attention: DoubleAttention) -> None:
        super().__init__()
        self.heads = attention.mha.num_heads
        self.query, self.key, self.value, self.proj = map(_layer, deepcopy(attention).double().affines())

    def forward(self, tokens: Tensor, wanted: int | None = None) -> Tensor:
        layers = (self.query, self.key, self.value, self.proj)
        return _attend(tokens, wanted, self.heads, [(layer.weight, layer.bias) for layer in layers])


def _attend(tokens: Tensor, wanted: int | None, heads: int, affines: list[Affine]) -> Tensor:
    query, key, value, out = affines
    queries = _by_head(functional.linear(tokens[:, :wanted], *query), heads)
    if wanted == 1:
        values = _attended_by_one(queries, tokens, key[0], value)
    else:
        keys, values = (_by_head(functional.linear(tokens, *affine), heads) for affine in (key, value))
        values = functional.scaled_dot_product_attention(queries, keys, values)
    return functional.linear(values.transpose(1, 2).flatten(2), *out)


def _attended_by_one(queries: Tensor, tokens: Tensor, to_key: Tensor, to_value: Affine) -> Tensor:
    """What one query a head (n, heads, 1, size) sees, of the same shape; no token gets a key or a value.

    The query goes back through the key's projection, and the tokens' mean forward through the value's; a bias
    of keys moves all scores alike.
    """
    heads, size = queries.shape[1], queries.shape[3]
    asked = queries @ to_key.view(heads, size, -1) * size**-0.5
    mean = (asked.squeeze(2) @ tokens.mT).softmax(dim=-1) @ tokens
    weight, bias = to_value
    return mean.unsqueeze(2) @ weight.view(heads, size, -1).mT + bias.view(heads, 1, size)


def _by_head(tokens: Tensor, heads: int) -> Tensor:
    return tokens.view(*tokens.shape[:2], heads, -1).transpose(1, 2)


def _thirds(weight: Tensor, bias: Tensor) -> list[Affine]:
    """The query's, key's and value's parts of a joint projection."""
    return list(zip(weight.chunk(3), bias.chunk(3), strict=True))


def _folded(first: Affine, second: Affine) -> Affine:
    """One for ``first`` followed by ``second``."""
    (weight_1, bias_1), (weight_2, bias_2) = first, second
    return weight_2 @ weight_1, weight_2 @ bias_1 + bias_2


@torch.no_grad()
def _layer(affine: Affine) -> nn.Linear:
    weight, bias = affine
    layer = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device)
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)
    return layer
