"""OTiS (Turgut et al., arXiv 2410.07299): a vision transformer over patches of 24 samples of single leads.

Names, shapes and mathematics are those of the published files. Their shuffling of tokens (random masking at
ratio 0) does not change the result and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stence.ecg import LEADS, WINDOW_SAMPLES
from stence.encoders.base import Encoder, Weights, check_fit
from stence.encoders.otis_blocks import MLPS, PATCH_SAMPLES, Block, GatedMlp, Mlp, PatchEmbedding

PRETRAINING_ONLY = ("decoder", "mask_token", "projector.", "predictor.")
"""Prefixes of weights in a pre-training file that do not belong to the encoder."""
FIRST_LEAD_ROW = {13: 1, 39: 5}
"""First lead's row by number of rows of ``pos_embed_y``: one ECG domain, or several as published. Row 0 is
padding."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Dimensions of an OTiS. Raises ValueError for impossible ones."""

    width: int
    depth: int
    heads: int
    mlp_ratio: float = 4.0
    mlp: Literal["gelu", "swiglu"] = "gelu"
    drop_path: float = 0.1
    window_samples: int = WINDOW_SAMPLES

    def __post_init__(self) -> None:
        if self.width % self.heads or self.width % 4:
            raise ValueError(f"width {self.width} must be a multiple of heads ({self.heads}) and of 4")
        if self.mlp not in MLPS:
            raise ValueError(f"mlp {self.mlp!r} must be one of {', '.join(MLPS)}")

    def new_mlp(self) -> Mlp | GatedMlp:
        """Build the MLP of a block."""
        return MLPS[self.mlp](self.width, int(self.width * self.mlp_ratio))


VARIANTS = {
    "base": Architecture(width=192, depth=12, heads=3),
    "large": Architecture(width=384, depth=18, heads=6),
    "huge": Architecture(width=576, depth=24, heads=8),
}


def otis(variant: str = "base", **changes: Any) -> Otis:
    """Build an OTiS of a published ``variant`` (base, large, huge), with ``changes`` of its Architecture.

    >>> encoder = otis(width=16, depth=1, heads=2)
    >>> encoder(torch.zeros(2, 12, 1500)).shape
    torch.Size([2, 16])
    """
    if variant not in VARIANTS:
        raise ValueError(f"there is no OTiS {variant!r}; published: {', '.join(VARIANTS)}")
    return Otis(replace(VARIANTS[variant], **changes))


class Otis(Encoder):
    """Windows (n, 12, ``window_samples``) -> the class token after the final norm (n, width).

    Samples after the last whole patch are ignored.
    """

    pos_embed_x: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.size, self.window_samples = architecture.width, architecture.window_samples
        half = architecture.width // 2
        self.patch_embed = PatchEmbedding(architecture.width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, architecture.width))
        self.register_buffer("pos_embed_x", _sines_and_cosines(self.patches, half))
        self.pos_embed_y = nn.Embedding(1 + len(LEADS), half, padding_idx=0)
        self.blocks = nn.ModuleList(
            Block(architecture.width, architecture.heads, architecture.new_mlp(), float(rate))
            for rate in np.linspace(0, architecture.drop_path, architecture.depth)
        )
        self.norm = nn.LayerNorm(architecture.width, eps=1e-6)
        self._initialise()

    @property
    def config(self) -> dict[str, Any]:
        """Arguments for ``build`` that give this architecture again."""
        return asdict(self.architecture)

    @property
    def patches(self) -> int:
        """Number of patches in each lead of a window."""
        return self.window_samples // PATCH_SAMPLES

    def forward(self, windows: Tensor) -> Tensor:
        """Return one embedding per window."""
        self.check(windows)
        tokens = self._tokens(windows)
        for block in self.blocks[:-1]:
            tokens = block(tokens)
        cls = self.blocks[-1](tokens, wanted=1)[:, 0]  # the last block computes no other token
        embeddings: Tensor = self.norm(cls)
        return embeddings

    def _tokens(self, windows: Tensor) -> Tensor:
        """Return class token and patches of all leads, with positions added: (n, 1 + 12 * patches, width)."""
        leads = self.pos_embed_y.weight[1:, None].expand(-1, self.patches, -1)
        times = self.pos_embed_x[:, 1:].expand(len(LEADS), -1, -1)
        patches = self.patch_embed(windows) + torch.cat((leads, times), dim=-1).flatten(0, 1)
        cls = self.cls_token + functional.pad(self.pos_embed_x[:, :1], (self.size // 2, 0))
        return torch.cat((cls.expand(len(windows), -1, -1), patches), dim=1)

    def blocks_and_rest(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        """Return the blocks in the order of their use, and the modules after the last block."""
        return list(self.blocks), [self.norm]

    def load_published(self, weights: Weights) -> None:
        """Load a published file: a pre-training checkpoint (39 lead rows) or an encoder (13 lead rows).

        Only the rows of the 12 leads are kept, and as many patch positions as this model has. Positions are
        interpolated if the file has fewer. So weights saved later load into the same architecture. If the
        file has gated MLPs, this model and its ``config`` get gated MLPs too.

        Raises WeightsError, which names every weight that is missing, unexpected or has the wrong shape. The
        model is then unchanged.
        """
        own = {name: tensor for name, tensor in weights.items() if not name.startswith(PRETRAINING_ONLY)}
        gated = any(name.endswith(".mlp.fc1_g.weight") for name in own)
        architecture = replace(self.architecture, mlp="swiglu" if gated else "gelu")
        if "pos_embed_y.weight" in own:
            own["pos_embed_y.weight"] = _own_lead_rows(own["pos_embed_y.weight"])
        if "pos_embed_x" in own and own["pos_embed_x"].ndim == 3:
            own["pos_embed_x"] = _own_patch_rows(own["pos_embed_x"], self.patches)
        with torch.device("meta"):
            check_fit(own, Otis(architecture).state_dict(), "OTiS")
        if architecture != self.architecture:
            self._replace_mlps(architecture)
        self.load_state_dict(own)

    def parts(self) -> tuple[nn.Module, nn.Module]:
        """Return all tokens' way through the blocks, and the class token's own.

        Roundings of the patches cancel in the attention's means. Those of the class token do not: computing
        it in fp32 costs a few percent, and makes embeddings with a bf16 bulk seven times as exact.
        """
        return PatchStates(self), ClassToken(self)

    def folded(self) -> Self:
        """Return a copy for inference, with one input and one output projection per attention."""
        copy = super().folded()
        for module in list(copy.modules()):
            if isinstance(module, Block):
                module.fold()
        return copy.requires_grad_(False)

    def _replace_mlps(self, architecture: Architecture) -> None:
        self.architecture = architecture
        for block in self.blocks:
            block.mlp = architecture.new_mlp().to(self.cls_token.device)

    def _initialise(self) -> None:
        """Initialise as OTiS' pre-training does: Xavier, except for the embeddings."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.patch_embed.proj.weight.flatten(1))
        nn.init.normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.pos_embed_y.weight[1:], std=0.02)


class PatchStates(nn.Module):
    """Windows (n, 12, samples) -> the tokens (n, tokens, width) that enter each block, a tuple."""

    def __init__(self, encoder: Otis) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, windows: Tensor) -> tuple[Tensor, ...]:
        states = [self.encoder._tokens(windows)]
        for block in self.encoder.blocks[:-1]:
            states.append(block(states[-1]))
        return tuple(states)


class ClassToken(nn.Module):
    """The tokens that enter each block, in any type -> the class token after the final norm (n, width)."""

    def __init__(self, encoder: Otis) -> None:
        super().__init__()
        self.blocks, self.norm = encoder.blocks, encoder.norm

    def forward(self, *states: Tensor) -> Tensor:
        dtype = self.norm.weight.dtype
        cls = states[0][:, :1].to(dtype)
        for block, tokens in zip(self.blocks, states, strict=True):
            cls = block(torch.cat((cls, tokens[:, 1:].to(dtype)), dim=1), wanted=1)
        embeddings: Tensor = self.norm(cls[:, 0])
        return embeddings


def _sines_and_cosines(patches: int, width: int) -> Tensor:
    """Return positions (1, 1 + patches, width): sines, then cosines, of Vaswani et al. (2017).

    Row 0 belongs to the class token and is 0.
    """
    frequencies = 10000 ** -(torch.arange(width // 2) / (width // 2))
    angles = torch.outer(torch.arange(patches), frequencies)
    return functional.pad(torch.cat((angles.sin(), angles.cos()), dim=1), (0, 0, 1, 0))[None]


def _own_lead_rows(table: Tensor) -> Tensor:
    """Return the padding row and the rows of the 12 leads. A table of unknown size is returned unchanged."""
    first = FIRST_LEAD_ROW.get(len(table))
    if first is None:
        return table
    return torch.cat((table[:1], table[first : first + len(LEADS)]))


def _own_patch_rows(table: Tensor, patches: int) -> Tensor:
    """Return the class token's row and the first ``patches`` rows; interpolate if the table has fewer."""
    cls, times = table[:, :1], table[:, 1:]
    if times.shape[1] < patches:
        times = functional.interpolate(times.mT, size=patches, mode="linear").mT
    return torch.cat((cls, times[:, :patches]), dim=1)
