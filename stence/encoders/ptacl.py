"""PTACL's ECG encoder (arXiv 2506.20683): a masked autoencoder's transformer over patches of 50 samples.

Its width, depth and layout are not published. The layout is either transformers' ViTMAE ("stock") or the
authors' fork of it, with layer scales and without key biases. The stock library loads a file of the fork with
a warning, and then computes wrong results. Here the names in the file decide the layout, and unknown names
are refused. Dropout and stochastic depth of the fork are left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from stence.ecg import LEADS
from stence.encoders.base import Encoder, Weights, check_fit
from stence.encoders.ptacl_blocks import Block
from stence.errors import WeightsError

PUBLISHED_NAMES = (
    (r"^(cls_token)$", r"embeddings.\1"),
    (r"^positions$", "embeddings.position_embeddings"),
    (r"^patches\.", "embeddings.patch_embeddings.projection."),
    (r"^norm\.", "layernorm."),
    (r"^blocks\.", "encoder.layer."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.attention\.(query|key|value)\.", r".attention.attention.\1."),
    (r"\.attention\.proj\.", ".attention.output.dense."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
)
"""Patterns of the names here, and their replacements in a stock file."""
FORK_NAMES = (
    (r"\.(q)uery\.bias$|\.(v)alue\.bias$", r".\1\2_bias"),
    (r"\.scale1\.weight$", ".layerscale.layerscale_c"),
    (r"\.scale2\.weight$", ".output.layerscale.layerscale_c"),
)
"""Further replacements for a fork's file: different or additional names."""
CLASS_ROW = "embeddings.cls_token"
FIRST_MLP = "encoder.layer.0.intermediate.dense.weight"
LAYER = re.compile(r"encoder\.layer\.(\d+)\.")
POSITIONS = "embeddings.position_embeddings"
MARK_OF_THE_FORK = "layerscale_c"


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Dimensions of a PTACL, from its ``config.json``. Raises ValueError for impossible ones."""

    width: int
    """``hidden_size`` in ``config.json``."""
    depth: int
    """``num_hidden_layers`` in ``config.json``."""
    heads: int
    """``num_attention_heads`` in ``config.json``."""
    hidden: int
    """``intermediate_size`` in ``config.json``."""
    epsilon: float = 1e-12
    """``layer_norm_eps`` in ``config.json``."""
    layout: Literal["stock", "fork"] = "stock"
    patch_samples: int = 50
    window_samples: int = 2500

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads ({self.heads})")
        if self.layout not in ("stock", "fork"):
            raise ValueError(f"layout {self.layout!r} must be stock or fork")
        if self.window_samples % self.patch_samples:
            raise ValueError(f"a window of {self.window_samples} is no multiple of {self.patch_samples}")

    @property
    def patches(self) -> int:
        """Number of patches in each lead of a window."""
        return self.window_samples // self.patch_samples

    def new_block(self) -> Block:
        """Build a block of the transformer."""
        return Block(self.width, self.heads, self.hidden, self.epsilon, scaled=self.layout == "fork")


def ptacl(**dimensions: Any) -> Ptacl:
    """Build a PTACL encoder of these dimensions: see Architecture.

    >>> encoder = ptacl(width=16, depth=1, heads=2, hidden=32)
    >>> encoder(torch.zeros(2, 12, 2500)).shape
    torch.Size([2, 16])
    """
    return Ptacl(Architecture(**dimensions))


def check_published(weights: Weights) -> None:
    """Raise WeightsError unless these are all weights of one PTACL encoder of any dimensions.

    The weights do not show the number of heads.
    """
    cls_token, mlp = weights.get(CLASS_ROW), weights.get(FIRST_MLP)
    if cls_token is None or cls_token.ndim != 3 or mlp is None or mlp.ndim != 2:
        raise WeightsError(f"these weights do not fit PTACL, for want of {CLASS_ROW} or {FIRST_MLP}")
    layers = {match[1] for name in weights if (match := LAYER.match(name))}
    ptacl(width=cls_token.shape[-1], depth=len(layers), heads=1, hidden=len(mlp)).load_published(weights)


class Ptacl(Encoder):
    """Windows (n, 12, ``window_samples``) -> the class token after the final norm (n, width).

    The positions are trainable in the fork's layout, and fixed in the stock layout.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.size, self.window_samples = architecture.width, architecture.window_samples
        self.cls_token = nn.Parameter(torch.empty(1, 1, architecture.width))
        tokens = 1 + len(LEADS) * architecture.patches
        self.positions = nn.Parameter(torch.empty(1, tokens, architecture.width))
        samples = (1, architecture.patch_samples)
        self.patches = nn.Conv2d(1, architecture.width, kernel_size=samples, stride=samples)
        self.norm = nn.LayerNorm(architecture.width, architecture.epsilon)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.positions, std=0.02)
        self._take_layout(architecture)

    @property
    def config(self) -> dict[str, Any]:
        """Arguments for ``build`` that give this architecture again."""
        return asdict(self.architecture)

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
        # Patches do not overlap, so a matrix product replaces the convolution.
        patches = windows.reshape(len(windows), -1, self.architecture.patch_samples)
        embedded = functional.linear(patches, self.patches.weight.flatten(1), self.patches.bias)
        return torch.cat((self.cls_token.expand(len(windows), -1, -1), embedded), dim=1) + self.positions

    def blocks_and_rest(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        """Return the blocks in the order of their use, and the modules after the last block."""
        return list(self.blocks), [self.norm]

    def load_published(self, weights: Weights) -> None:
        """Load a published file in either layout. This model and its ``config`` get the file's layout.

        If the file is for longer windows, the first positions of each lead are kept.

        Raises WeightsError, which names every weight that is missing, unexpected or has the wrong shape. The
        model is then unchanged.
        """
        fork = any(name.endswith(MARK_OF_THE_FORK) for name in weights)
        architecture = replace(self.architecture, layout="fork" if fork else "stock")
        own = dict(weights)
        if POSITIONS in own and own[POSITIONS].ndim == 3:
            own[POSITIONS] = _own_positions(own[POSITIONS], architecture.patches)
        with torch.device("meta"):
            expected = Ptacl(architecture).state_dict()
        names = {name: _published(name, architecture) for name in expected}
        check_fit(own, {names[name]: tensor for name, tensor in expected.items()}, "PTACL")
        if architecture != self.architecture:
            self._take_layout(architecture)
        self.load_state_dict({name: own[published] for name, published in names.items()})

    def folded(self) -> Self:
        """Return a copy for inference, with layer scales folded into the preceding layers."""
        copy = super().folded()
        for module in copy.blocks:
            if isinstance(module, Block):
                module.fold()
        return copy

    def _take_layout(self, architecture: Architecture) -> None:
        """Rebuild the blocks for this layout, and make the positions trainable or fixed."""
        self.architecture = architecture
        self.positions.requires_grad_(architecture.layout == "fork")
        blocks = nn.ModuleList(architecture.new_block() for _ in range(architecture.depth))
        self.blocks = blocks.to(self.cls_token.device)


def _published(name: str, architecture: Architecture) -> str:
    """Return the published name of the weight ``name`` in the architecture's layout."""
    for pattern, replacement in PUBLISHED_NAMES + (FORK_NAMES if architecture.layout == "fork" else ()):
        name = re.sub(pattern, replacement, name)
    return name


def _own_positions(table: Tensor, patches: int) -> Tensor:
    """Return the class token's row and each lead's first ``patches`` rows.

    A table of another grid is returned unchanged.
    """
    rows = table.shape[1] - 1
    if rows % len(LEADS) or rows // len(LEADS) < patches:
        return table
    leads = table[:, 1:].reshape(1, len(LEADS), -1, table.shape[2])[:, :, :patches]
    return torch.cat((table[:, :1], leads.flatten(1, 2)), dim=1)
