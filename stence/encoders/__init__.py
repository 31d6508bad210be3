"""Registry of ECG encoders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stence.encoders.base import Encoder
from stence.encoders.ecgfounder import ecgfounder
from stence.encoders.echoing_ecg import echoing_ecg
from stence.encoders.otis import otis
from stence.encoders.ptacl import ptacl
from stence.encoders.xecg import xecg

__all__ = ["ENCODERS", "Encoder", "build"]

ENCODERS: dict[str, Callable[..., Encoder]] = {
    "otis": otis,
    "echoing_ecg": echoing_ecg,
    "ecgfounder": ecgfounder,
    "xecg": xecg,
    "ptacl": ptacl,
}


def build(name: str, **config: Any) -> Encoder:
    """Build an encoder with random weights. ``config`` holds arguments of the encoder's own function.

    All arguments are optional, except PTACL's dimensions. Raises ValueError for an unknown encoder or
    impossible dimensions, and TypeError for an unknown or missing argument.

    >>> encoder = build("otis", width=16, depth=1, heads=2)
    >>> encoder.size, encoder.window_samples
    (16, 1500)
    """
    if name not in ENCODERS:
        raise ValueError(f"there is no encoder {name!r}; known: {', '.join(sorted(ENCODERS))}")
    return ENCODERS[name](**config)
