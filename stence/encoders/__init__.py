"""Registry of ECG encoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stence.ecg.recipes import Recipe
from stence.encoders.base import Encoder
from stence.encoders.ecgfounder import ecgfounder
from stence.encoders.echoing_ecg import echoing_ecg
from stence.encoders.otis import otis
from stence.encoders.ptacl import ptacl
from stence.encoders.xecg import xecg

__all__ = ["ENCODERS", "Encoder", "build", "encoder_for"]

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


def encoder_for(prepared_as: Recipe, name: str, config: Mapping[str, Any]) -> Encoder:
    """Build an encoder for the windows of a recipe, with ``stence.encoders.build``.

    ``window_samples`` comes from the recipe if ``config`` does not set it. Raises ValueError if both
    disagree, and the errors of ``build``.

    >>> from stence.ecg.recipes import STENCE
    >>> encoder_for(STENCE, "otis", {"width": 16, "depth": 1, "heads": 2}).window_samples
    1500
    """
    encoder = build(name, **{"window_samples": prepared_as.samples, **config})
    if encoder.window_samples != prepared_as.samples:
        raise ValueError(
            f"{name} reads windows of {encoder.window_samples} samples, and the input recipe "
            f"{prepared_as.version} makes {prepared_as.samples}: leave out window_samples"
        )
    return encoder
