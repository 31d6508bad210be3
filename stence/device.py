"""Choice of torch's device."""

from __future__ import annotations

import torch

from stence.errors import ConfigurationError
from stence.settings import Settings


def device_of(settings: Settings) -> str:
    """Return ``cpu`` or ``cuda``. Raises ConfigurationError if a GPU is required and torch finds none."""
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError(
            "STENCE_DEVICE is cuda, but torch sees no GPU: check the driver and the torch build."
        )
    return "cuda" if settings.device != "cpu" and torch.cuda.is_available() else "cpu"
