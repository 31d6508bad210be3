"""Building blocks of ECGFounder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

KERNEL = 16


class SameConv(nn.Module):
    """A convolution (n, channels, length) -> (n, width, ceil(length / stride)).

    The padding is TensorFlow's "SAME". With an odd number of zeros, the additional zero is at the end.
    """

    def __init__(self, channels: int, width: int, *, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv = nn.Conv1d(channels, width, kernel, stride, groups=groups)

    def forward(self, signal: Tensor) -> Tensor:
        length = signal.shape[-1]
        steps = -(-length // self.stride)
        padding = max(0, (steps - 1) * self.stride + self.kernel - length)
        padded = functional.pad(signal, (padding // 2, padding - padding // 2))
        mapped: Tensor = self.conv(padded)
        return mapped


class Block(nn.Module):
    """A residual bottleneck with squeeze and excitation (Hu et al., arXiv 1709.01507).

    Signals (n, channels, length) -> (n, width, length). With ``halves`` the length becomes half, rounded up.
    """

    def __init__(self, channels: int, width: int, group_width: int, *, halves: bool, activates: bool) -> None:
        super().__init__()
        self.width, self.halves, self.activates = width, halves, activates
        self.conv1 = SameConv(channels, width, kernel=1)
        self.conv2 = SameConv(
            width, width, kernel=KERNEL, stride=2 if halves else 1, groups=width // group_width
        )
        self.conv3 = SameConv(width, width, kernel=1)
        self.se_fc1 = nn.Linear(width, width // 2)
        self.se_fc2 = nn.Linear(width // 2, width)

    def forward(self, signal: Tensor) -> Tensor:
        branch = self.conv1(functional.silu(signal) if self.activates else signal)
        branch = self.conv3(functional.silu(self.conv2(functional.silu(branch))))
        return branch * self._importance(branch) + self._shortcut(signal)

    def _importance(self, branch: Tensor) -> Tensor:
        """Return the excitation of each channel (n, width, 1), between 0 and 1."""
        squeezed = functional.silu(self.se_fc1(branch.mean(dim=-1)))
        return torch.sigmoid(self.se_fc2(squeezed))[..., None]

    def _shortcut(self, signal: Tensor) -> Tensor:
        """Return the signal at the branch's length and width."""
        if self.halves:
            # With an odd length, the zero takes part in the last maximum, as in the published network.
            signal = functional.max_pool1d(functional.pad(signal, (0, 1)), kernel_size=2)
        more = self.width - signal.shape[1]
        return functional.pad(signal, (0, 0, more // 2, more - more // 2)) if more else signal
