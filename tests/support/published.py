"""Files of weights as an encoder's authors publish them, small and with drawn values."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from stence import weights
from stence.encoders.xecg import MASK, _published
from stence.objects import ObjectStore
from stence.settings import Settings
from support.encoders import small
from support.weights import drawn

NAMES = {"ecgfounder": "ecgfounder", "xecg": "xecg-base"}
"""By encoder, what its weights are called."""


def import_small(
    encoder: str, store: ObjectStore, settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Tensor]:
    """Import a file of the published layout for an encoder as small as ``support.encoders.small``'s.

    The encoder's own weights of it, by the names that the encoder has for them.
    """
    monkeypatch.setattr(weights.published, "build", small)
    own = drawn(small(encoder).state_dict())
    path = folder / f"{encoder}.published"
    if encoder == "ecgfounder":
        idle = small(encoder)._idle().items()
        others = {name: torch.zeros(tensor.shape, dtype=tensor.dtype) for name, tensor in idle}
        torch.save({"state_dict": own | others, "epoch": 3}, path)
    else:
        save_file({_published(name): tensor for name, tensor in own.items()} | {MASK: torch.zeros(16)}, path)
    weights.import_weights(store, settings, NAMES[encoder], path)
    return own
