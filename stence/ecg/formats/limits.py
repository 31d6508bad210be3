"""Limits that every reader checks before it allocates memory, so a hostile file cannot exhaust it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stence.ecg.reasons import Reason, refuse


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest ECG that is read. ``stence.settings`` has the same defaults."""

    channels: int = 64
    """Channels of a recording. Body surface maps have more and are not read."""
    samples: int = 2**22
    """Samples of all channels together: 12 leads for almost 6 minutes at 1000 Hz."""
    nesting: int = 32
    """Depth of nested elements of a document; archives may be nested two deep."""
    elements: int = 200_000
    """Elements of a document."""
    expanded_bytes: int = 64 * 2**20
    """Bytes of a file or an archive's members after decompression."""
    expansion: int = 200
    """Bytes after decompression for each byte before it."""
    members: int = 10_000
    """Members of an archive."""


DEFAULT_LIMITS = Limits()


def check_size(channels: int, samples: int, limits: Limits) -> None:
    """Raise UnusableEcgError for a shape that no resting ECG has."""
    if not 1 <= channels <= limits.channels:
        detail = f"{channels} channels, not 1 to {limits.channels}"
        raise refuse(Reason.IMPLAUSIBLE_SIZE, detail, value=channels)
    if not 1 <= samples <= limits.samples // channels:
        raise refuse(
            Reason.IMPLAUSIBLE_SIZE,
            f"{samples} samples in each of {channels} channels; 1 to {limits.samples} in all are read",
            value=samples,
        )


def check_rate(sampling_rate: float) -> None:
    """Raise UnusableEcgError unless the rate is finite and positive. ``quality`` checks its plausibility."""
    if not (math.isfinite(sampling_rate) and sampling_rate > 0):
        raise refuse(Reason.BROKEN_HEADER, f"sampling rate of {sampling_rate:g} Hz", value=sampling_rate)


_TO_MILLIVOLT = {"nv": 1e-6, "uv": 1e-3, "mv": 1.0, "v": 1e3}


def millivolts(unit: str, lead: str) -> float:
    """Return one ``unit`` in millivolts. Raises UnusableEcgError if the unit is not a voltage."""
    plain = unit.strip().lower().replace("\u00b5", "u").replace("\u03bc", "u")
    if plain not in _TO_MILLIVOLT:
        raise refuse(Reason.UNKNOWN_UNIT, f"lead {lead} has the unit {unit[:16]!r}, not a voltage", lead)
    return _TO_MILLIVOLT[plain]
