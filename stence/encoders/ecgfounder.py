"""ECGFounder (Li et al., arXiv 2410.04133): a convolutional network with grouped convolutions.

Names, shapes and mathematics are those of the published 12-lead file. Two parts of that file are left out:
the batch normalisations, which the authors' network never runs, and the layer for 150 diagnoses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stence.ecg import LEADS, WINDOW_SAMPLES
from stence.encoders.base import Encoder, Weights, check_fit
from stence.encoders.ecgfounder_blocks import Block, SameConv

DIAGNOSES = 150
"""Number of outputs of the last layer in the published file."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Dimensions of an ECGFounder; published values by default. Raises ValueError for impossible ones."""

    stem: int = 64
    widths: Sequence[int] = (64, 160, 160, 400, 400, 1024, 1024)
    """Channels of each stage. The first block of a stage halves the length."""
    blocks: Sequence[int] = (2, 2, 2, 3, 3, 4, 4)
    """Number of blocks of each stage."""
    group_width: int = 16
    window_samples: int = WINDOW_SAMPLES

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks):
            raise ValueError(f"{len(self.widths)} widths for {len(self.blocks)} stages")
        if any(width % self.group_width for width in self.widths):
            raise ValueError(f"widths {tuple(self.widths)} must be multiples of {self.group_width}")
        if list(self.widths) != sorted(self.widths) or self.stem > self.widths[0]:
            raise ValueError("a stage must be as wide as the one before it, or wider")


def ecgfounder(**dimensions: Any) -> EcgFounder:
    """Build an ECGFounder with the published dimensions, or with others: see Architecture.

    >>> encoder = ecgfounder(stem=16, widths=(16, 32), blocks=(1, 1))
    >>> encoder(torch.zeros(2, 12, 1500)).shape
    torch.Size([2, 32])
    """
    return EcgFounder(Architecture(**dimensions))


class Stage(nn.Module):
    """Blocks of the same width. The first block halves the length."""

    def __init__(self, channels: int, width: int, blocks: int, group_width: int, *, first: bool) -> None:
        super().__init__()
        self.block_list = nn.Sequential(
            Block(channels, width, group_width, halves=True, activates=not first),
            *(Block(width, width, group_width, halves=False, activates=True) for _ in range(blocks - 1)),
        )

    def forward(self, signal: Tensor) -> Tensor:
        mapped: Tensor = self.block_list(signal)
        return mapped


class EcgFounder(Encoder):
    """Windows (n, 12, ``window_samples``) -> mean of the last stage over time (n, widths[-1])."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.size, self.window_samples = architecture.widths[-1], architecture.window_samples
        self.first_conv = SameConv(len(LEADS), architecture.stem, kernel=16, stride=2)
        channels = (architecture.stem, *architecture.widths)
        self.stage_list = nn.Sequential(
            *(
                Stage(channels[number], width, blocks, architecture.group_width, first=number == 0)
                for number, (width, blocks) in enumerate(
                    zip(architecture.widths, architecture.blocks, strict=True)
                )
            )
        )

    @property
    def config(self) -> dict[str, Any]:
        """Arguments for ``build`` that give this architecture again."""
        return asdict(self.architecture)

    def forward(self, windows: Tensor) -> Tensor:
        """Return one embedding per window."""
        self.check(windows)
        embeddings: Tensor = self.stage_list(functional.silu(self.first_conv(windows))).mean(dim=-1)
        return embeddings

    def blocks_and_rest(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        """Return the blocks in the order of their use, and the modules after the last block."""
        return [module for module in self.stage_list.modules() if isinstance(module, Block)], []

    def load_published(self, weights: Weights) -> None:
        """Load the weights of the published file, which are there under ``state_dict``.

        Raises WeightsError, which names every weight that is missing, unexpected or has the wrong shape,
        unused weights included. The model is then unchanged.
        """
        idle = self._idle()
        check_fit(weights, self.state_dict() | idle, "ECGFounder")
        self.load_state_dict({name: tensor for name, tensor in weights.items() if name not in idle})

    def _idle(self) -> dict[str, Tensor]:
        """Return names and shapes of the unused weights in the published file, without values."""
        with torch.device("meta"):
            idle: dict[str, nn.Module] = {
                "first_bn": nn.BatchNorm1d(self.architecture.stem),
                "dense": nn.Linear(self.size, DIAGNOSES),
            }
            for name, module in self.named_modules():
                if isinstance(module, Block):
                    widths = (module.conv1.conv.in_channels, module.width, module.width)
                    idle |= {
                        f"{name}.bn{number}": nn.BatchNorm1d(width) for number, width in enumerate(widths, 1)
                    }
        return {
            f"{name}.{part}": tensor
            for name, module in idle.items()
            for part, tensor in module.state_dict().items()
        }
