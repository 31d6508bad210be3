"""Attention of OTiS: the published form for training, and a folded form for inference."""

from __future__ import annotations

from copy import deepcopy
from itertools import starmap

import torch
from torch import Tensor, nn
from torch.nn import functional

Affine = tuple[Tensor, Tensor]
"""Weight (out, in) and bias (out,)."""


class DoubleAttention(nn.Module):
    """Self-attention of OTiS, with two input projections and two output projections in series.

    Tokens (n, tokens, width) -> the first ``wanted`` tokens (None: all). Each attends to all tokens.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.mha = nn.MultiheadAttention(width, heads, batch_first=True)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, wanted: int | None = None) -> Tensor:
        return _attend(tokens, wanted, self.mha.num_heads, self.affines())

    def affines(self) -> list[Affine]:
        """Return one affine map each for query, key, value and output: the products of both weights.

        Products of weights are cheaper than products with tokens.
        """
        mha, out = self.mha, self.mha.out_proj
        twice = zip(
            [*_thirds(self.qkv.weight, self.qkv.bias), (out.weight, out.bias)],
            [*_thirds(mha.in_proj_weight, mha.in_proj_bias), (self.proj.weight, self.proj.bias)],
            strict=True,
        )
        return list(starmap(_folded, twice))


class FoldedAttention(nn.Module):
    """Inference form of a trained DoubleAttention, with one input and one output projection."""

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
    """Return the attended values of one query per head (n, heads, 1, size), in the same shape.

    No keys or values of tokens are computed. The key projection is applied to the query, and the value
    projection to the weighted mean of the tokens. The key bias has no effect: it shifts all scores equally.
    """
    heads, size = queries.shape[1], queries.shape[3]
    asked = queries @ to_key.view(heads, size, -1) * size**-0.5
    mean = (asked.squeeze(2) @ tokens.mT).softmax(dim=-1) @ tokens
    weight, bias = to_value
    return mean.unsqueeze(2) @ weight.view(heads, size, -1).mT + bias.view(heads, 1, size)


def _by_head(tokens: Tensor, heads: int) -> Tensor:
    return tokens.view(*tokens.shape[:2], heads, -1).transpose(1, 2)


def _thirds(weight: Tensor, bias: Tensor) -> list[Affine]:
    """Split a joint projection into query, key and value."""
    return list(zip(weight.chunk(3), bias.chunk(3), strict=True))


def _folded(first: Affine, second: Affine) -> Affine:
    """Compose ``first`` followed by ``second`` into one affine map."""
    (weight_1, bias_1), (weight_2, bias_2) = first, second
    return weight_2 @ weight_1, weight_2 @ bias_1 + bias_2


@torch.no_grad()
def _layer(affine: Affine) -> nn.Linear:
    weight, bias = affine
    layer = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device)
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)
    return layer
