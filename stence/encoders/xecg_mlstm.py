"""xECG's mLSTM block: a matrix memory in its parallel form (Beck et al., xLSTM, arXiv 2405.04517)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from stence.encoders.xecg_blocks import CausalConv, Headwise, OffsetNorm, headwise, split

QKV_WIDTH = 4
"""Number of channels that a query, key or value projection mixes."""
WIDENING = 2
EPSILON = 1e-6


class Cell(nn.Module):
    """The memory: queries, keys and values (n, tokens, width) -> read-out (n, tokens, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.igate = nn.Linear(3 * width, heads)
        self.fgate = nn.Linear(3 * width, heads)
        self.outnorm = OffsetNorm(width, heads)
        nn.init.normal_(self.igate.bias, std=0.1)
        with torch.no_grad():
            self.fgate.bias.copy_(torch.linspace(3, 6, heads))  # initially the cell keeps most of the past

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        everything = torch.cat((query, key, value), dim=-1)
        read = recall(
            split(query, self.heads).transpose(1, 2),
            split(key, self.heads).transpose(1, 2),
            split(value, self.heads).transpose(1, 2),
            self.igate(everything).mT,
            self.fgate(everything).mT,
        )
        mapped: Tensor = self.outnorm(read.transpose(1, 2).flatten(2))
        return mapped


def recall(query: Tensor, key: Tensor, value: Tensor, enters: Tensor, keeps: Tensor) -> Tensor:
    """Return each token's read-out of the memory of all tokens up to this one (n, heads, tokens, width).

    ``query``, ``key`` and ``value`` are (n, heads, tokens, width). The inputs of the input gate (``enters``)
    and forget gate (``keeps``) are (n, heads, tokens). The cost is quadratic in the number of tokens, which
    is small for an ECG. Exponents are relative to the largest of each token, so they never overflow. The
    computation is in float32, also under autocast; the result has the type of ``query``.
    """
    dtype = query.dtype
    with torch.autocast(query.device.type, enabled=False):
        query, key, value, enters, keeps = (part.float() for part in (query, key, value, enters, keeps))
        kept = functional.logsigmoid(keeps).cumsum(dim=-1)
        later = torch.ones(kept.shape[-1], kept.shape[-1], dtype=torch.bool, device=kept.device).triu(1)
        exponents = (kept[..., :, None] + (enters - kept)[..., None, :]).masked_fill(later, -torch.inf)
        peak = exponents.amax(dim=-1, keepdim=True)
        shares = query @ key.mT / key.shape[-1] ** 0.5 * (exponents - peak).exp()
        total = torch.maximum(shares.sum(dim=-1, keepdim=True).abs(), (-peak).exp())
        return (shares / (total + EPSILON) @ value).to(dtype)


class MLstm(nn.Module):
    """Up-projection, memory, gate and down-projection: tokens (n, tokens, width) -> the same shape."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        wide = WIDENING * width
        self.proj_up = nn.Linear(width, 2 * wide, bias=False)
        self.conv1d = CausalConv(wide)
        self.q_proj, self.k_proj, self.v_proj = (Headwise(wide // QKV_WIDTH, QKV_WIDTH) for _ in range(3))
        self.mlstm_cell = Cell(wide, heads)
        self.learnable_skip = nn.Parameter(torch.ones(wide))
        self.proj_down = nn.Linear(wide, width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        content, gate = self.proj_up(tokens).chunk(2, dim=-1)
        convolved = self.conv1d(content)
        query, key = headwise(convolved, self.q_proj, self.k_proj).chunk(2, dim=-1)
        value = headwise(content, self.v_proj)
        read = self.mlstm_cell(*(part.permute(1, 2, 0, 3).flatten(2) for part in (query, key, value)))
        mapped: Tensor = self.proj_down((read + self.learnable_skip * convolved) * functional.silu(gate))
        return mapped


class MLstmBlock(nn.Module):
    """A residual mLSTM: tokens (n, tokens, width) -> the same shape."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.xlstm_norm = OffsetNorm(width)
        self.xlstm = MLstm(width, heads)

    def forward(self, tokens: Tensor) -> Tensor:
        mapped: Tensor = tokens + self.xlstm(self.xlstm_norm(tokens))
        return mapped
