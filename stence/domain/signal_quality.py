"""Limits of the signal's quality check, and the version that is recorded with its verdicts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from typing import Any

GATE_VERSION = "2"
"""Version of the quality check. It changes with what is measured, and with the default limits."""


def _limit(default: float, description: str) -> Any:
    """Return a field; a plain dataclass imports nothing that preparing processes would have to load."""
    return field(default=default, metadata={"description": description})


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """Limits of the quality check; the group ``quality`` of the settings. None is negative but the last.

    >>> QualityLimits().version, QualityLimits(max_wander_mv=3).version
    ('2', '2+50380265')
    """

    min_span_mv: float = _limit(0.03, "Lowest to highest sample; a lead that spans less is flat.")
    max_invalid_share: float = _limit(0.05, "Share of samples marked as invalid.")
    max_frozen_seconds: float = _limit(1.5, "Run of one repeated value; a longer one: lead off.")
    min_rail_mv: float = _limit(0.5, "Distance of a rail from the mean, at least.")
    max_clipped_share: float = _limit(0.005, "Share of the samples at a rail.")
    max_amplitude_mv: float = _limit(
        10.0, "Distance from the mean for more than 10 ms; pacing spikes are shorter."
    )
    max_wander_mv: float = _limit(2.0, "Range of the means over one second.")
    max_mains_mv: float = _limit(0.1, "Amplitude of mains hum.")
    max_noise: float = _limit(0.2, "Noise above 40 Hz in the worst 2 s (RMS), in amplitudes of a beat.")
    max_excursion: float = _limit(2.25, "Range within one second, in amplitudes of a beat.")
    min_resemblance: float = _limit(0.75, "Correlation of a beat with the mean beat or a neighbour.")
    min_deviation: float = _limit(0.15, "Deviation (RMS) of a beat that counts, in amplitudes of a beat.")
    max_odd_beats: float = _limit(0.5, "Share of beats that resemble no other.")
    max_disturbed_leads: int = _limit(2, "Leads with mild artefacts; more refuse the ECG.")
    gross_factor: float = _limit(1.3, "An artefact of so many times its limit refuses the ECG by itself.")
    max_contradiction: float = _limit(0.3, "Slopes of a limb lead against those derived from I and II.")
    min_i_v6_correlation: float = _limit(
        -0.5, "Correlation of leads I and V6, before arms count as exchanged."
    )

    def __post_init__(self) -> None:
        """Raise ValueError for a limit that no measurement could exceed or meet."""
        for limit in fields(self):
            value = getattr(self, limit.name)
            smallest = -1 if limit.name == "min_i_v6_correlation" else 0
            if not smallest <= value < float("inf"):
                raise ValueError(f"{limit.name} is {value}, not a number of at least {smallest}")

    @property
    def version(self) -> str:
        """Version of the check, with a digest of the limits if they are not the defaults."""
        changed = {
            limit.name: float(value)
            for limit in fields(self)
            if (value := getattr(self, limit.name)) != limit.default
        }
        if not changed:
            return GATE_VERSION
        digest = hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()
        return f"{GATE_VERSION}+{digest[:8]}"


DEFAULT_QUALITY = QualityLimits()
