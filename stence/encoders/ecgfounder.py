"""ECGFounder (Li et al., arXiv 2410.04133): a convolutional network with grouped convolutions.

Names and shapes of the weights are those of the published 12-lead file, and so is the mathematics. Two parts
of that file are left behind: its batch normalisations, which its authors' network never runs, and its layer
for 150 diagnoses.
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
"""Outputs of the published file's last layer."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Dimensions of an ECGFounder, by default the published ones. Raises ValueError where they do not fit."""

    stem: int = 64
    widths: Sequence[int] = (64, 160, 160, 400, 400, 1024, 1024)
    """Channels of each stage; a stage's first block halves the length."""
    blocks: Sequence[int] = (2, 2, 2, 3, 3, 4, 4)
    """How many each stage has."""
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
    """An ECGFounder as published, or with other dimensions: see Architecture."""
    return EcgFounder(Architecture(**dimensions))


class Stage(nn.Module):
    """Blocks of one width, of which the first halves the length."""

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
    """Windows (n, 12, ``window_samples``) -> the last stage's mean over time (n, widths[-1])."""

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
        """Arguments with which ``build`` makes this architecture again."""
        return asdict(self.architecture)

    def forward(self, windows: Tensor) -> Tensor:
        """One embedding a window."""
        self.check(windows)
        embeddings: Tensor = self.stage_list(functional.silu(self.first_conv(windows))).mean(dim=-1)
        return embeddings

    def load_published(self, weights: Weights) -> None:
        """Take the weights of the published file, found there under ``state_dict``.

        Raises WeightsError, which names every weight that is missing, unexpected or misshapen, idle ones
        too; the model is then unchanged.
        """
        idle = self._idle()
        check_fit(weights, self.state_dict() | idle, "ECGFounder")
        self.load_state_dict({name: tensor for name, tensor in weights.items() if name not in idle})

    def _idle(self) -> dict[str, Tensor]:
        """What the published file holds beside the encoder's weights, without values."""
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
