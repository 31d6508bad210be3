"""Limits that every reader checks before it allocates memory, so a hostile header cannot exhaust it."""

from __future__ import annotations

import math

from stence.ecg.reasons import Reason, refuse

MAX_CHANNELS = 64
"""Largest number of channels of a resting ECG. Body surface maps have more and are not read."""
MAX_SAMPLES = 2**22
"""Largest number of samples of all channels together: 12 leads for almost 6 minutes at 1000 Hz."""


def check_size(channels: int, samples: int) -> None:
    """Raise UnusableEcgError for a shape that no resting ECG has."""
    if not 1 <= channels <= MAX_CHANNELS:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, f"{channels} channels, not 1 to {MAX_CHANNELS}", value=channels)
    if not 1 <= samples <= MAX_SAMPLES // channels:
        raise refuse(
            Reason.IMPLAUSIBLE_SIZE,
            f"{samples} samples in each of {channels} channels; 1 to {MAX_SAMPLES} in all are read",
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
