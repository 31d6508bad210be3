"""Building blocks of EchoingECG, in their training and inference forms."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import fuse_conv_bn_eval

CODES = 32
"""Width of the position codes, and of the hidden state of the pooling's GRU."""
TEMPERATURE = 0.1


class Block(nn.Module):
    """Residual block, two convolutions: (n, channels, length) -> (n, width, ceil(length / stride))."""

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
        """Fold the batch norms into the convolutions, for inference. The block must be in evaluation mode."""
        self.conv1, self.bn1 = folded(self.conv1, self.bn1)
        self.conv2, self.bn2 = folded(self.conv2, self.bn2)
        if len(self.shortcut):
            self.shortcut = nn.Sequential(*folded(*self.shortcut))


def folded(convolution: nn.Module, normalisation: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Fold a batch norm into its convolution, both in evaluation mode. An identity takes its place.

    A pair that is already folded is returned unchanged.
    """
    if isinstance(convolution, nn.Conv1d) and isinstance(normalisation, nn.BatchNorm1d):
        return fuse_conv_bn_eval(convolution, normalisation), nn.Identity()
    return convolution, normalisation


class Pooling(nn.Module):
    """Learned pooling (GPO, Chen et al., arXiv 2011.04305): features (n, steps, width) -> (n, width).

    The values of each feature are sorted in descending order, and summed with weights. The weights depend on
    the number of steps only.
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
        """Return the weights (steps,) of the sorted values, largest value first. Their sum is 1."""
        both, _ = self.gru(self.codes[None])
        forwards, backwards = both[0].chunk(2, dim=-1)
        scores = self.linear((forwards + backwards) / 2)[:, 0]
        return torch.softmax(scores / TEMPERATURE, dim=0)


class FixedPooling(nn.Module):
    """Inference form of a trained Pooling, with precomputed weights."""

    shares: Tensor

    def __init__(self, pooling: Pooling) -> None:
        super().__init__()
        with torch.no_grad():
            self.register_buffer("shares", pooling.weights())

    def forward(self, features: Tensor) -> Tensor:
        return pooled(features, self.shares)


def pooled(features: Tensor, shares: Tensor) -> Tensor:
    """Sort each feature's values (n, steps, width), largest first, and sum them with ``shares`` (steps,)."""
    descending = features.sort(dim=1, descending=True).values
    return (descending * shares[:, None]).sum(dim=1)


def _position_codes(steps: int) -> Tensor:
    """Return alternating sines and cosines of each position (steps, CODES), of Vaswani et al. (2017)."""
    frequencies = 10000 ** -(torch.arange(0, CODES, 2) / CODES)
    angles = torch.outer(torch.arange(steps), frequencies)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)
