"""Building blocks of OTiS, in their published form for training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from stence.encoders.attention import DoubleAttention, FoldedAttention

PATCH_SAMPLES = 24


class PatchEmbedding(nn.Module):
    """Leads (n, 12, samples) -> embedded patches of all leads (n, 12 * patches, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, kernel_size=(1, PATCH_SAMPLES), stride=(1, PATCH_SAMPLES))
        self.norm = nn.LayerNorm(width, eps=1e-5)

    def forward(self, leads: Tensor) -> Tensor:
        # Patches do not overlap, so a matrix product replaces the convolution. Its backward pass is faster.
        whole = leads[..., : leads.shape[-1] // PATCH_SAMPLES * PATCH_SAMPLES]
        patches = whole.reshape(len(leads), -1, PATCH_SAMPLES)
        embedded = functional.linear(patches, self.proj.weight.flatten(1), self.proj.bias)
        return functional.gelu(self.norm(embedded))


class Mlp(nn.Module):
    """Two linear layers with exact GELU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        mapped: Tensor = self.fc2(functional.gelu(self.fc1(tokens)))
        return mapped


class GatedMlp(nn.Module):
    """SwiGLU (Shazeer, arXiv 2002.05202), as in OTiS since February 2026."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1_g = nn.Linear(width, hidden)
        self.fc1_x = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        mapped: Tensor = self.fc2(functional.silu(self.fc1_g(tokens)) * self.fc1_x(tokens))
        return mapped


MLPS: dict[str, type[Mlp | GatedMlp]] = {"gelu": Mlp, "swiglu": GatedMlp}


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016): drop a branch for a share ``rate`` of windows in training.

    The remaining branches are scaled up, which keeps the mean.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return branch
        kept = torch.rand(len(branch), 1, 1, device=branch.device) >= self.rate
        return branch * kept / (1 - self.rate)


class Block(nn.Module):
    """A pre-norm transformer block: tokens (n, tokens, width) -> the first ``wanted`` tokens (None: all)."""

    def __init__(self, width: int, heads: int, mlp: Mlp | GatedMlp, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn: DoubleAttention | FoldedAttention = DoubleAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = mlp
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor, wanted: int | None = None) -> Tensor:
        tokens = tokens[:, :wanted] + self.drop_path(self.attn(self.norm1(tokens), wanted))
        mapped: Tensor = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return mapped

    def fold(self) -> None:
        """Replace the attention by its inference form."""
        if isinstance(self.attn, DoubleAttention):
            self.attn = FoldedAttention(self.attn)
