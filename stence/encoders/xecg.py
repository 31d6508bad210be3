"""xECG (BenchECG, arXiv 2509.10151): extended LSTM blocks. Every other block reads the ECG backwards.

Names, shapes and layouts of the weights are those of the published base model. The authors' kernels are not
needed. The mask token of their pre-training is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stence.ecg import LEADS, WINDOW_SAMPLES
from stence.encoders.base import Encoder, Weights, check_fit
from stence.encoders.xecg_mlstm import QKV_WIDTH, MLstmBlock
from stence.encoders.xecg_slstm import SLstmBlock

BLOCKS = "blocks."
PUBLISHED_BLOCKS = "core.model.blocks."
"""Prefixes of the blocks' weights: here, and in the published file."""
MASK = "mask_token"


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Dimensions of an xECG; published values by default. Raises ValueError for impossible ones."""

    width: int = 1024
    heads: int = 4
    hidden: int = 1344
    """Hidden width of the MLP in an sLSTM block."""
    blocks: str = "ssmmssmms"
    """Kind of each block: s for sLSTM, m for mLSTM."""
    patch_samples: int = 25
    window_samples: int = WINDOW_SAMPLES

    def __post_init__(self) -> None:
        if self.width % self.heads or self.width % QKV_WIDTH:
            raise ValueError(
                f"width {self.width} must be a multiple of heads ({self.heads}) and of {QKV_WIDTH}"
            )
        if not self.blocks or set(self.blocks) - set("sm"):
            raise ValueError(f"blocks {self.blocks!r} must be a word of the letters s and m")
        if self.window_samples % self.patch_samples:
            raise ValueError(f"a window of {self.window_samples} is no multiple of {self.patch_samples}")

    def new_block(self, kind: str) -> SLstmBlock | MLstmBlock:
        """Build a block of the kind "s" or "m"."""
        if kind == "s":
            return SLstmBlock(self.width, self.heads, self.hidden)
        return MLstmBlock(self.width, self.heads)


def xecg(**dimensions: Any) -> XEcg:
    """Build an xECG with the published dimensions, or with others: see Architecture.

    >>> encoder = xecg(width=16, heads=2, hidden=32, blocks="sm")
    >>> encoder(torch.zeros(2, 12, 1500)).shape
    torch.Size([2, 16])
    """
    return XEcg(Architecture(**dimensions))


class PatchEmbedding(nn.Module):
    """Leads (n, 12, samples) -> embedded patches of all leads (n, patches, width)."""

    def __init__(self, width: int, samples: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(len(LEADS), width, samples, samples, bias=False)

    def forward(self, leads: Tensor) -> Tensor:
        embedded: Tensor = self.conv(leads).mT
        return embedded


class XEcg(Encoder):
    """Windows (n, 12, ``window_samples``) -> the mean token (n, width).

    Patches whose first sample is 0 in all leads count as padding. The mean leaves them out.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.size, self.window_samples = architecture.width, architecture.window_samples
        self.patch_embedding = PatchEmbedding(architecture.width, architecture.patch_samples)
        self.blocks = nn.ModuleList(architecture.new_block(kind) for kind in architecture.blocks)

    @property
    def config(self) -> dict[str, Any]:
        """Arguments for ``build`` that give this architecture again."""
        return asdict(self.architecture)

    def forward(self, windows: Tensor) -> Tensor:
        """Return one embedding per window."""
        self.check(windows)
        tokens = self.patch_embedding(windows)
        for number, block in enumerate(self.blocks):
            backwards = number % 2 == 1
            tokens = block(tokens.flip(1)).flip(1) if backwards else block(tokens)
        counts = windows[..., :: self.architecture.patch_samples].any(dim=1)[..., None]
        return (tokens * counts).sum(dim=1) / counts.sum(dim=1).clamp(min=1)

    def blocks_and_rest(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        """Return the blocks in the order of their use, and the modules after the last block."""
        return list(self.blocks), []

    def load_published(self, weights: Weights) -> None:
        """Load the weights of the published ``model.safetensors``.

        Raises WeightsError, which names every weight that is missing, unexpected or has the wrong shape, the
        unused mask token included. The model is then unchanged.
        """
        names = {name: _published(name) for name in self.state_dict()}
        expected = {names[name]: tensor for name, tensor in self.state_dict().items()}
        idle = {MASK: torch.empty(self.size, device="meta")}
        check_fit(weights, expected | idle, "xECG")
        self.load_state_dict({name: weights[published] for name, published in names.items()})


def _published(name: str) -> str:
    """Return the published name of the weight ``name``."""
    return PUBLISHED_BLOCKS + name.removeprefix(BLOCKS) if name.startswith(BLOCKS) else name
