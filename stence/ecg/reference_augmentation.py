"""Data augmentation of StenCE's fine-tuning, as in the public code of OTiS (arXiv 2410.07299)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from stence.ecg.resampling import SAMPLING_RATE

AMPLITUDE = 0.6
"""Share of the signal that scales its jitter."""


class ReferenceAugmentation(BaseModel):
    """Crop and resize, Fourier surrogate, jitter, rescaling: the strength of each, in this order.

    >>> generator = torch.Generator().manual_seed(0)
    >>> ReferenceAugmentation().apply(torch.zeros(4, 12, 1500), generator).shape
    torch.Size([4, 12, 1500])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["reference"] = "reference"
    crop: float = Field(0.75, gt=0, le=1, description="Smallest share of a window that a crop keeps.")
    phase_noise: float = Field(0.075, ge=0, le=1, description="Largest shift of a phase, in turns.")
    phase_noise_probability: float = Field(0.5, ge=0, le=1)
    jitter: float = Field(0.2, ge=0, description="Standard deviation of the noise, times 0.6 x signal.")
    rescaling: float = Field(0.5, ge=0, description="Standard deviation of a common factor around 1.")

    def apply(self, windows: Tensor, generator: torch.Generator, rate: int = SAMPLING_RATE) -> Tensor:
        """Return changed copies of windows (n, 12, samples); ``rate`` in Hz has no effect.

        The ``generator`` must be on the same device as the windows.
        """
        windows = self._cropped(windows, generator)
        windows = self._surrogates(windows, generator)
        noise = torch.randn(windows.shape, generator=generator, device=windows.device)
        windows = windows * (1 + AMPLITUDE * self.jitter * noise)
        factors = torch.randn((len(windows), 1, 1), generator=generator, device=windows.device)
        return windows * (1 + self.rescaling * factors)

    def _cropped(self, windows: Tensor, generator: torch.Generator) -> Tensor:
        """Stretch a random part of each window to its whole length, by linear interpolation."""
        count, _, samples = windows.shape
        shares = self.crop + (1 - self.crop) * _uniform(count, windows, generator)
        kept = (shares * samples).round().clamp(min=1) - 1
        first = _uniform(count, windows, generator) * (samples - 1 - kept)
        steps = torch.arange(samples, device=windows.device)
        places = (first.round() + kept * steps / max(samples - 1, 1)).clamp(max=samples - 1)
        before = places.floor()
        after = (before + 1).clamp(max=samples - 1)
        left, right = (
            windows.gather(2, index.long()[:, None].expand_as(windows)) for index in (before, after)
        )
        return left + (places - before)[:, None] * (right - left)

    def _surrogates(self, windows: Tensor, generator: torch.Generator) -> Tensor:
        """Shift the phases of each window's frequencies, equally in all leads; amplitudes stay.

        Schwabedal et al. (arXiv 1806.08675). The mean and the highest frequency of an even number of samples
        have no free phase.
        """
        count, _, samples = windows.shape
        spectrum = torch.fft.rfft(windows.float(), dim=2)
        frequencies = spectrum.shape[2]
        turns = self.phase_noise * torch.rand(
            (count, 1, frequencies), generator=generator, device=windows.device
        )
        turns[:, :, 0] = 0
        if samples % 2 == 0:
            turns[:, :, -1] = 0
        shifted = torch.fft.irfft(
            spectrum * torch.polar(torch.ones_like(turns), 2 * math.pi * turns), n=samples
        )
        chosen = _uniform(count, windows, generator)[..., None] < self.phase_noise_probability
        return torch.where(chosen, shifted.to(windows.dtype), windows)


def _uniform(count: int, windows: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand((count, 1), generator=generator, device=windows.device)
