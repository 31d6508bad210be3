"""Settings by which every ECG of a store is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from stence.domain.signal_quality import DEFAULT_QUALITY, QualityLimits
from stence.ecg.formats.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from stence.settings import Settings


class Rules(NamedTuple):
    """How ECGs are read, the same for scoring, training and pages."""

    zone: ZoneInfo
    """Time zone of files that name none."""
    max_bytes: int
    """Largest size of an ECG's files together."""
    limits: Limits = DEFAULT_LIMITS
    quality: QualityLimits = DEFAULT_QUALITY
    """Limits of the quality check."""


def rules_of(settings: Settings) -> Rules:
    """Return the rules that the settings give."""
    limits = Limits(
        channels=settings.max_ecg_channels,
        samples=settings.max_ecg_samples,
        nesting=settings.max_ecg_nesting,
        elements=settings.max_ecg_elements,
        expanded_bytes=settings.max_object_bytes,
        expansion=settings.max_expansion,
    )
    return Rules(ZoneInfo(settings.timezone), settings.max_object_bytes, limits, settings.quality)
