"""Every encoder in dimensions that a test can afford, and what their tests share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stence import encoders
from stence.encoders import Encoder
from stence.errors import WeightsError

SMALL: dict[str, dict[str, Any]] = {
    "otis": {"width": 32, "depth": 2, "heads": 2, "window_samples": 240},
    "ecgfounder": {"stem": 16, "widths": [16, 32], "blocks": [1, 2], "window_samples": 230},
    "echoing_ecg": {"stem": 8, "widths": [8, 16], "blocks": [1, 2], "embedding": 8, "window_samples": 230},
    "xecg": {"width": 16, "heads": 2, "hidden": 24, "blocks": "smsm", "window_samples": 250},
    "ptacl": {"width": 16, "depth": 2, "heads": 2, "hidden": 32, "window_samples": 250, "layout": "fork"},
}


def small(name: str, **changes: Any) -> Encoder:
    """The encoder ``name``, small, with the same random weights every time, in evaluation mode."""
    torch.manual_seed(0)
    return encoders.build(name, **{**SMALL[name], **changes}).eval()


def windows(encoder: Encoder, count: int = 3) -> Tensor:
    """Noise in the encoder's shape."""
    return torch.randn(count, 12, encoder.window_samples, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def embed(encoder: nn.Module, inputs: Tensor) -> np.ndarray:
    return encoder(inputs).numpy()


def assert_close(result: np.ndarray, golden: np.ndarray, share: float = 1e-5) -> None:
    """Fail where ``result`` is further from ``golden`` than this share of its largest number."""
    np.testing.assert_allclose(result, golden, rtol=0, atol=share * np.abs(golden).max())


def assert_refuses_misfits(
    encoder: Encoder, weights: dict[str, Tensor], missing: str, misshapen: str
) -> None:
    """Fail unless a missing, an additional and a misshapen weight are all named, and none is taken."""
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    shape, other = tuple(weights[misshapen].shape), (*weights[misshapen].shape, 2)
    broken = {name: tensor for name, tensor in weights.items() if name != missing}
    broken |= {misshapen: torch.zeros(other), "another.weight": torch.zeros(1)}
    with pytest.raises(WeightsError) as refusal:
        encoder.load_published(broken)
    assert str(refusal.value).splitlines()[1:] == [
        f"  missing: {missing} {tuple(weights[missing].shape)}",
        "  unexpected: another.weight",
        f"  {misshapen} has shape {other}, not {shape}",
    ]
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())
