"""SegmentMIL: multiple-instance learning from views of an angiogram to stenosis logits of 11 targets.

A view is a bag of patch features. One learned query per target attends to the patches of all views (arXiv
2606.02605). Names and shapes of the weights are those of the published files. Patches are never projected
one by one: see CrossAttention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from stence.encoders.base import Weights, check_fit
from stence.models.angiographic import ANGIOGRAPHIC_TARGETS, ARTERIES, ARTERY_OF_SEGMENT, MAJOR
from stence.models.angle_embedding import angle_table, cells
from stence.weights.segment_mil_names import with_both_names


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of the cross-attention: projected patches ``tokens @ weight.T`` plus their views' ``offsets``.

    ``tokens`` (b, views * n, patch_dim), ``weight`` (d, patch_dim), ``offsets`` (b, views, d), ``hidden``
    (b, views): true for padding.
    """

    tokens: Tensor
    weight: Tensor
    offsets: Tensor
    hidden: Tensor


class SegmentMIL(nn.Module):
    """Patch features of the views of studies -> logits of ``ANGIOGRAPHIC_TARGETS`` (b, 11).

    Raises ValueError for impossible dimensions.

    >>> model = SegmentMIL(patch_dim=8, embed_dim=16, layers=1, heads=2)
    >>> tokens = torch.zeros(1, 2, 1, 4, 8)  # a study with 2 views, 1 frame, 4 patches of 8 features
    >>> model(tokens, torch.tensor([2]), torch.zeros(1, 2, 2)).shape
    torch.Size([1, 11])
    """

    pos_embeddings: Tensor
    artery_of_segment: Tensor

    def __init__(
        self,
        patch_dim: int = 384,
        embed_dim: int = 512,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if embed_dim % heads or embed_dim % 4:
            raise ValueError(f"embed_dim {embed_dim} must be a multiple of heads ({heads}) and of 4")
        self.config = {
            "patch_dim": patch_dim,
            "embed_dim": embed_dim,
            "layers": layers,
            "heads": heads,
            "dropout": dropout,
        }
        self.register_buffer("pos_embeddings", angle_table(embed_dim))
        self.register_buffer("artery_of_segment", torch.tensor(ARTERY_OF_SEGMENT), persistent=False)
        self.query = nn.Parameter(torch.randn(len(ANGIOGRAPHIC_TARGETS), embed_dim) / embed_dim**0.5)
        self.projector = nn.Linear(patch_dim, embed_dim)
        self.attention = Decoder(embed_dim, layers, heads, dropout)
        self.classifiers = nn.ModuleList(nn.Sequential(nn.Linear(embed_dim, 1)) for _ in ANGIOGRAPHIC_TARGETS)

    def forward(self, tokens: Tensor, views: Tensor, angulations: Tensor) -> Tensor:
        """Return the logits (b, 11) of studies. The arguments are those of ``decode``."""
        return self.classify(self.decode(tokens, views, angulations))

    def decode(
        self, tokens: Tensor, views: Tensor, angulations: Tensor, further: Tensor | None = None
    ) -> Tensor:
        """Return the outputs of the 11 queries, then of ``further`` queries (n, embed_dim).

        The result is (b, 11 + n, embed_dim). ``tokens`` (b, views, frames, n, patch_dim) in any precision are
        padded to the largest number of views. ``views`` (b,) is the number of views, at least one.
        ``angulations`` (b, views, 2) are the primary and secondary angles in degrees. Values in the padding
        have no effect, but must be finite.
        """
        queries = self.query if further is None else torch.cat((self.query, further))
        memory = self._memory(tokens, views, angulations)
        found: Tensor = self.attention(queries.expand(len(tokens), -1, -1), memory)
        return found

    def attend(self, tokens: Tensor, views: Tensor, angulations: Tensor) -> Tensor:
        """Return the attention of the 11 queries to the patches in the last layer (b, 11, views, frames * n).

        It is the mean over the heads; the weights of a query sum to 1. The arguments are those of ``decode``.
        """
        memory = self._memory(tokens, views, angulations)
        weights = self.attention.last_weights(self.query.expand(len(tokens), -1, -1), memory)
        return weights.view(*weights.shape[:2], tokens.shape[1], -1)

    def _memory(self, tokens: Tensor, views: Tensor, angulations: Tensor) -> Memory:
        flat = tokens.reshape(len(tokens), -1, tokens.shape[-1]).to(_working_type(self.query))
        primary, secondary = cells(angulations).unbind(dim=-1)
        offsets = self.projector.bias + self.pos_embeddings[primary, secondary]
        hidden = torch.arange(tokens.shape[1], device=views.device) >= views[:, None]
        return Memory(flat, self.projector.weight, offsets, hidden)

    def classify(self, found: Tensor) -> Tensor:
        """Return the logits (b, 11) of query outputs ``found`` (b, 11 or more, embed_dim).

        The artery's logit is added to a segment's logit. The patient's logit is added to all others.
        """
        own = torch.cat([head(found[:, place]) for place, head in enumerate(self.classifiers)], dim=1).float()
        patient, arteries, segments = own[:, :1], own[:, ARTERIES], own[:, MAJOR]
        segments = segments + arteries[:, self.artery_of_segment]
        return torch.cat((patient, patient + arteries, patient + segments), dim=1)

    def load_published(self, weights: Weights) -> None:
        """Load the weights of the authors' SegmentMIL, without its backbone.

        Raises WeightsError, which names every weight that is missing, unexpected or has the wrong shape. The
        model is then unchanged.
        """
        own, given = self.state_dict(), with_both_names(weights)
        check_fit(given, with_both_names(own), "SegmentMIL")
        self.load_state_dict({name: given[name] for name in own})


class Decoder(nn.Module):
    """Pre-norm transformer decoder layers: queries (b, q, d) and a Memory -> (b, q, d)."""

    def __init__(self, width: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(width, heads, dropout) for _ in range(layers))

    def forward(self, queries: Tensor, memory: Memory) -> Tensor:
        for layer in self.layers:
            queries = layer(queries, memory)
        return queries

    def last_weights(self, queries: Tensor, memory: Memory) -> Tensor:
        """Return the last layer's cross-attention (b, q, views * n), the mean over its heads."""
        for layer in self.layers[:-1]:
            queries = layer(queries, memory)
        last = cast(DecoderLayer, self.layers[-1])
        return last.multihead_attn.weights(last.norm2(last.talked(queries)), memory).mean(dim=1)


class DecoderLayer(nn.Module):
    """Self-attention of the queries, cross-attention to the memory, and two linear layers with ReLU."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.multihead_attn = CrossAttention(width, heads, dropout)
        self.linear1 = nn.Linear(width, 4 * width)
        self.linear2 = nn.Linear(4 * width, width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries: Tensor, memory: Memory) -> Tensor:
        queries = self.talked(queries)
        queries = queries + self.dropout(self.multihead_attn(self.norm2(queries), memory))
        mapped = self.linear2(self.dropout(functional.relu(self.linear1(self.norm3(queries)))))
        result: Tensor = queries + self.dropout(mapped)
        return result

    def talked(self, queries: Tensor) -> Tensor:
        """Return the queries after their self-attention."""
        asked = self.norm1(queries)
        heard: Tensor = self.self_attn(asked, asked, asked, need_weights=False)[0]
        return queries + self.dropout(heard)


class CrossAttention(nn.Module):
    """Multi-head attention of few queries (b, q, d) to thousands of unprojected tokens.

    Attention is linear in the memory, except for the softmax of its scores. So the key projection and the
    memory's projection are applied to each head's query, which gives a query in the space of the tokens. The
    value projection is applied to the weighted mean of the tokens. The result equals
    ``torch.nn.MultiheadAttention`` over the projected memory, with far fewer products: no token is multiplied
    with a square matrix. The key bias has no effect, because it shifts all scores of a query equally.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, queries: Tensor, memory: Memory) -> Tensor:
        batch, count, width = queries.shape
        to_value, value_bias = self.in_proj_weight.chunk(3)[2], self.in_proj_bias.chunk(3)[2]
        weights = self.dropout(self._weights(self._asked(queries), memory))
        found = self._mean(weights, memory).view(batch, self.heads, count, width)
        total = weights.sum(dim=-1).view(batch, self.heads, count, 1)
        values = torch.einsum("bhqd,hed->bhqe", found, self._rows_by_head(to_value))
        values = values + total * value_bias.view(self.heads, 1, -1)
        mixed: Tensor = self.out_proj(values.transpose(1, 2).flatten(2))
        return mixed

    def weights(self, queries: Tensor, memory: Memory) -> Tensor:
        """Return the attention (b, heads, q, views * n) without dropout."""
        batch, count, _ = queries.shape
        return self._weights(self._asked(queries), memory).view(batch, self.heads, count, -1)

    def _asked(self, queries: Tensor) -> Tensor:
        """Project queries (b, q, d) into the space of the memory: (b, heads * q, d)."""
        to_query, to_key, _ = self.in_proj_weight.chunk(3)
        asked = functional.linear(queries, to_query, self.in_proj_bias.chunk(3)[0])
        asked = asked * (queries.shape[2] // self.heads) ** -0.5
        return torch.einsum("bqhe,hed->bhqd", self._by_head(asked), self._rows_by_head(to_key)).flatten(1, 2)

    def _weights(self, asked: Tensor, memory: Memory) -> Tensor:
        """Return attention weights (b, heads * q, views * n) of the queries ``asked`` (b, heads * q, d)."""
        of_views = (asked @ memory.offsets.mT).masked_fill(memory.hidden[:, None], -torch.inf)
        of_tokens = (asked @ memory.weight) @ memory.tokens.mT
        scores = of_tokens.view(*of_views.shape, -1) + of_views[..., None]
        return scores.flatten(2).softmax(dim=-1)

    def _mean(self, weights: Tensor, memory: Memory) -> Tensor:
        """Return the weighted mean of the memory (b, heads * q, d)."""
        of_views = weights.view(*weights.shape[:2], memory.offsets.shape[1], -1).sum(dim=-1)
        return functional.linear(weights @ memory.tokens, memory.weight) + of_views @ memory.offsets

    def _by_head(self, rows: Tensor) -> Tensor:
        return rows.view(*rows.shape[:2], self.heads, -1)

    def _rows_by_head(self, weight: Tensor) -> Tensor:
        return weight.view(self.heads, -1, weight.shape[1])


def _working_type(weight: Tensor) -> Any:
    """Return the dtype of products with ``weight``, which depends on autocast."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
