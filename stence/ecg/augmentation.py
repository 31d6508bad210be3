"""Data augmentation of preprocessed training windows, as in StenCE's pretraining."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from torch import Tensor

from stence.ecg.reference_augmentation import ReferenceAugmentation
from stence.ecg.resampling import SAMPLING_RATE


class Augmentation(BaseModel):
    """Strength of each random change, and its probability per window.

    >>> generator = torch.Generator().manual_seed(0)
    >>> Augmentation(noise=0.1).apply(torch.zeros(4, 12, 1500), generator).shape
    torch.Size([4, 12, 1500])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["stence"] = "stence"
    roll_seconds: float = Field(1.0, ge=0, description="Largest rotation in time, in both directions.")
    amplitude: tuple[float, float] = Field((0.6, 1.3), description="Range of a common factor of all leads.")
    amplitude_probability: float = Field(0.8, ge=0, le=1)
    noise: float = Field(0.03, ge=0, description="Standard deviation of the white noise added.")
    noise_probability: float = Field(0.3, ge=0, le=1)
    gaps: int = Field(5, ge=0, description="Number of intervals set to zero in all leads.")
    gap_seconds: float = Field(0.3, ge=0)
    gap_probability: float = Field(0.5, ge=0, le=1)

    def apply(self, windows: Tensor, generator: torch.Generator, rate: int = SAMPLING_RATE) -> Tensor:
        """Return changed copies of windows (n, 12, samples) at ``rate`` Hz.

        The ``generator`` must be on the same device as the windows.
        """
        windows = self._rolled(windows, generator, rate)
        windows = windows * self._factors(windows, generator)
        windows = windows + self._noise(windows, generator)
        return windows * self._kept(windows, generator, rate)

    def _rolled(self, windows: Tensor, generator: torch.Generator, rate: int) -> Tensor:
        count, _, samples = windows.shape
        reach = round(self.roll_seconds * rate)
        shifts = torch.randint(-reach, reach + 1, (count, 1), generator=generator, device=windows.device)
        source = (torch.arange(samples, device=windows.device) - shifts) % samples
        return windows.gather(2, source[:, None].expand_as(windows))

    def _factors(self, windows: Tensor, generator: torch.Generator) -> Tensor:
        low, high = self.amplitude
        factors = low + (high - low) * _uniform(windows, generator)
        return torch.where(_chosen(windows, self.amplitude_probability, generator), factors, 1.0)

    def _noise(self, windows: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(windows.shape, generator=generator, device=windows.device)
        return noise * self.noise * _chosen(windows, self.noise_probability, generator)

    def _kept(self, windows: Tensor, generator: torch.Generator, rate: int) -> Tensor:
        """Return a mask (n, 1, samples): 0 inside a gap, 1 elsewhere."""
        count, _, samples = windows.shape
        width = round(self.gap_seconds * rate)
        last = max(samples - width, 0)
        starts = torch.randint(last + 1, (count, self.gaps, 1), generator=generator, device=windows.device)
        place = torch.arange(samples, device=windows.device)
        inside = ((place >= starts) & (place < starts + width)).any(dim=1, keepdim=True)
        return (~(inside & _chosen(windows, self.gap_probability, generator))).to(windows.dtype)


def _uniform(windows: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand((len(windows), 1, 1), generator=generator, device=windows.device)


def _chosen(windows: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    return _uniform(windows, generator) < probability


def _with_kind(given: Any) -> Any:
    """Accept a name without strengths, and strengths without a name, which are those of StenCE."""
    if isinstance(given, str):
        return {"kind": given}
    return {"kind": "stence"} | given if isinstance(given, dict) else given


NamedAugmentation = Annotated[
    Annotated[Augmentation | ReferenceAugmentation, Field(discriminator="kind")], BeforeValidator(_with_kind)
]
"""An augmentation in a configuration: ``stence``, ``reference``, or strengths with their ``kind``."""
