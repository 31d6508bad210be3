"""The parts of EchoingECG, in the form in which it is trained and in that for inference."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import fuse_conv_bn_eval

CODES = 32
"""Width of a position's code, and of what the pooling's recurrence makes of it."""
TEMPERATURE = 0.1


class Block(nn.Module):
    """Two convolutions of 3 and a shortcut: (n, channels, length) -> (n, width, ceil(length / stride))."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1: nn.Module = nn.Conv1d(channels, width, 3, stride, padding=1, bias=False)
        self.bn1: nn.Module = nn.BatchNorm1d(width)
        self.conv2: nn.Module = nn.Conv1d(width, width, 3, padding=1, bias=False)
        self.bn2: nn.Module = nn.BatchNorm1d(width)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(
                nn.Conv1d(channels, width, 1, stride, bias=False), nn.BatchNorm1d(width)
            )

    def forward(self, signal: Tensor) -> Tensor:
        branch = functional.relu(self.bn1(self.conv1(signal)))
        return functional.relu(self.bn2(self.conv2(branch)) + self.shortcut(signal))

    def fold(self) -> None:
        """Make this block, in evaluation mode, one for inference: normalisations move into convolutions."""
        self.conv1, self.bn1 = folded(self.conv1, self.bn1)
        self.conv2, self.bn2 = folded(self.conv2, self.bn2)
        if len(self.shortcut):
            self.shortcut = nn.Sequential(*folded(*self.shortcut))


def folded(convolution: nn.Module, normalisation: nn.Module) -> tuple[nn.Module, nn.Module]:
    """One convolution for the two, both in evaluation mode, and nothing after it; folded ones as they are."""
    if isinstance(convolution, nn.Conv1d) and isinstance(normalisation, nn.BatchNorm1d):
        return fuse_conv_bn_eval(convolution, normalisation), nn.Identity()
    return convolution, normalisation


class Pooling(nn.Module):
    """Learned pooling (GPO, Chen et al., arXiv 2011.04305): features (n, steps, width) -> (n, width).

    Each feature's values are sorted, the largest first, and summed with weights that depend on the number of
    steps alone.
    """

    codes: Tensor

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.gru = nn.GRU(CODES, CODES, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(CODES, 1, bias=False)
        self.register_buffer("codes", _position_codes(steps), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        return pooled(features, self.weights())

    def weights(self) -> Tensor:
        """Of the largest value, the second largest and so on (steps,); their sum is 1."""
        both, _ = self.gru(self.codes[None])
        forwards, backwards = both[0].chunk(2, dim=-1)
        scores = self.linear((forwards + backwards) / 2)[:, 0]
        return torch.softmax(scores / TEMPERATURE, dim=0)


class FixedPooling(nn.Module):
    """The function of a trained Pooling, its weights worked out once."""

    shares: Tensor

    def __init__(self, pooling: Pooling) -> None:
        super().__init__()
        with torch.no_grad():
            self.register_buffer("shares", pooling.weights())

    def forward(self, features: Tensor) -> Tensor:
        return pooled(features, self.shares)


def pooled(features: Tensor, shares: Tensor) -> Tensor:
    """The values of each feature (n, steps, width), the largest first, summed with ``shares`` (steps,)."""
    descending = features.sort(dim=1, descending=True).values
    return (descending * shares[:, None]).sum(dim=1)


def _position_codes(steps: int) -> Tensor:
    """Sines and cosines of each position by turns (steps, CODES), of Vaswani et al. (2017)."""
    frequencies = 10000 ** -(torch.arange(0, CODES, 2) / CODES)
    angles = torch.outer(torch.arange(steps), frequencies)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)
