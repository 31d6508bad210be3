"""Limits of the signal's quality check, and the version that is recorded with its verdicts."""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel, ConfigDict, Field

GATE_VERSION = "2"
"""Version of the quality check. It changes with what is measured, and with the default limits."""


class QualityLimits(BaseModel):
    """Limits of the quality check; the group ``quality`` of the settings.

    >>> QualityLimits().version, QualityLimits(max_wander_mv=3).version
    ('2', '2+50380265')
    """

    model_config = ConfigDict(frozen=True)

    min_span_mv: float = Field(
        0.03, ge=0, description="Lowest to highest sample; a lead that spans less is flat."
    )
    max_invalid_share: float = Field(0.05, ge=0, le=1, description="Share of samples marked as invalid.")
    max_frozen_seconds: float = Field(
        1.5, gt=0, description="Run of one repeated value; a longer one: lead off."
    )
    min_rail_mv: float = Field(0.5, ge=0, description="Distance of a rail from the mean, at least.")
    max_clipped_share: float = Field(0.005, ge=0, le=1, description="Share of the samples at a rail.")
    max_amplitude_mv: float = Field(
        10, gt=0, description="Distance from the mean for more than 10 ms; pacing spikes are shorter."
    )
    max_wander_mv: float = Field(2, gt=0, description="Range of the means over one second.")
    max_mains_mv: float = Field(0.1, gt=0, description="Amplitude of mains hum.")
    max_noise: float = Field(
        0.2, gt=0, description="Noise above 40 Hz in the worst 2 s (RMS), in amplitudes of a beat."
    )
    max_excursion: float = Field(2.25, gt=0, description="Range within one second, in amplitudes of a beat.")
    min_resemblance: float = Field(
        0.75, ge=-1, le=1, description="Correlation of a beat with the mean beat or a neighbour."
    )
    min_deviation: float = Field(
        0.15, ge=0, description="Deviation (RMS) of a beat that counts, in amplitudes of a beat."
    )
    max_odd_beats: float = Field(0.5, ge=0, le=1, description="Share of beats that resemble no other.")
    max_disturbed_leads: int = Field(
        2, ge=0, le=12, description="Leads with an artefact of at most gross_factor; more refuse the ECG."
    )
    gross_factor: float = Field(
        1.3, ge=1, description="An artefact of so many times its limit refuses the ECG by itself."
    )
    max_contradiction: float = Field(
        0.3, gt=0, description="Slopes of a limb lead against those derived from I and II."
    )
    min_i_v6_correlation: float = Field(
        -0.5, ge=-1, le=1, description="Correlation of leads I and V6, before arms count as exchanged."
    )

    @property
    def version(self) -> str:
        """Version of the check, with a digest of the limits if they are not the defaults."""
        changed = self.model_dump(exclude_defaults=True)
        if not changed:
            return GATE_VERSION
        digest = hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()
        return f"{GATE_VERSION}+{digest[:8]}"


DEFAULT_QUALITY = QualityLimits()
