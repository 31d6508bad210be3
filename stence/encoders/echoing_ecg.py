"""The ECG branch of EchoingECG (arXiv 2509.25791): a residual network and learned pooling.

Mathematics, names and shapes are those of the published file; names lose the prefix ``ecg_encoder.``. The
text branch and the second head, for the spread of the embedding, are left out. The authors' licence (CC
BY-NC-ND 4.0) forbids commercial use of their weights and sharing of adapted weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from stence.ecg import LEADS, WINDOW_SAMPLES
from stence.encoders.base import Encoder, Weights, check_fit
from stence.encoders.echoing_ecg_blocks import Block, FixedPooling, Pooling, folded

PREFIX = "ecg_encoder."
"""Prefix of the ECG branch in the published file."""
TEXT = "text_encoder."
"""Prefix of the text branch in the published file."""
EPSILON = 1e-8


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Dimensions of an EchoingECG; published values by default. Raises ValueError for impossible ones."""

    stem: int = 96
    widths: Sequence[int] = (192, 384, 768, 1536)
    """Channels of each stage. Every stage except the first halves the length."""
    blocks: Sequence[int] = (3, 4, 23, 3)
    """Number of blocks of each stage."""
    embedding: int = 512
    window_samples: int = WINDOW_SAMPLES

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks):
            raise ValueError(f"{len(self.widths)} widths for {len(self.blocks)} stages")

    @property
    def steps(self) -> int:
        """Length of the signal after the last stage."""
        return -(-self.window_samples // 2 ** len(self.widths))


def echoing_ecg(**dimensions: Any) -> EchoingEcg:
    """Build an EchoingECG with the published dimensions, or with others: see Architecture.

    >>> encoder = echoing_ecg(stem=8, widths=(8, 16), blocks=(1, 1), embedding=24)
    >>> encoder(torch.zeros(2, 12, 1500)).shape
    torch.Size([2, 24])
    """
    return EchoingEcg(Architecture(**dimensions))


class EchoingEcg(Encoder):
    """Windows (n, 12, ``window_samples``) -> the "mean" embedding, normalised to length 1 (n, embedding)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.size, self.window_samples = architecture.embedding, architecture.window_samples
        self.conv1: nn.Module = nn.Conv1d(
            len(LEADS), architecture.stem, kernel_size=7, stride=2, padding=3, bias=False
        )
        self.bn1: nn.Module = nn.BatchNorm1d(architecture.stem)
        channels = architecture.stem
        self._stages = [f"layer{number}" for number, _ in enumerate(architecture.widths, 1)]
        for name, width, blocks in zip(self._stages, architecture.widths, architecture.blocks, strict=True):
            stride = 1 if name == self._stages[0] else 2
            stage = [Block(channels, width, stride), *(Block(width, width, 1) for _ in range(blocks - 1))]
            self.add_module(name, nn.Sequential(*stage))
            channels = width
        self.linear = nn.Linear(channels, architecture.embedding)
        self.gpool: Pooling | FixedPooling = Pooling(architecture.steps)

    @property
    def config(self) -> dict[str, Any]:
        """Arguments for ``build`` that give this architecture again."""
        return asdict(self.architecture)

    def forward(self, windows: Tensor) -> Tensor:
        """Return one embedding per window."""
        self.check(windows)
        signal = functional.relu(self.bn1(self.conv1(windows)))
        for name in self._stages:
            signal = self.get_submodule(name)(signal)
        embeddings: Tensor = self.gpool(self.linear(signal.mT))
        return embeddings / (embeddings.norm(dim=1, keepdim=True) + EPSILON)

    def blocks_and_rest(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        """Return the blocks in the order of their use, and the modules after the last block."""
        return [module for module in self.modules() if isinstance(module, Block)], [self.linear, self.gpool]

    def load_published(self, weights: Weights) -> None:
        """Load the ECG branch of the published file.

        Raises WeightsError, which names every weight of that branch that is missing, unexpected or has the
        wrong shape, unused weights included. The model is then unchanged.
        """
        own = {name: tensor for name, tensor in weights.items() if not name.startswith(TEXT)}
        idle = self._idle()
        expected = {PREFIX + name: tensor for name, tensor in (self.state_dict() | idle).items()}
        check_fit(own, expected, "EchoingECG")
        renamed = {name.removeprefix(PREFIX): tensor for name, tensor in own.items()}
        self.load_state_dict({name: tensor for name, tensor in renamed.items() if name not in idle})

    def folded(self) -> Self:
        """Return a copy for inference: batch norms folded into convolutions, pooling weights precomputed."""
        copy = super().folded()
        copy.conv1, copy.bn1 = folded(copy.conv1, copy.bn1)
        for module in list(copy.modules()):
            if isinstance(module, Block):
                module.fold()
        if isinstance(copy.gpool, Pooling):
            copy.gpool = FixedPooling(copy.gpool)
        return copy.requires_grad_(False)

    def _idle(self) -> dict[str, Tensor]:
        """Return names and shapes of the second head, without values."""
        with torch.device("meta"):
            head = nn.ModuleDict(
                {
                    "std_linear": nn.Linear(self.linear.in_features, self.size),
                    "std_gpool": Pooling(self.architecture.steps),
                }
            )
        return head.state_dict()
