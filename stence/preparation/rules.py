"""Settings by which every ECG of a store is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from stence.domain.pseudonyms import Pseudonyms
from stence.domain.signal_quality import DEFAULT_QUALITY, QualityLimits
from stence.ecg.formats.limits import DEFAULT_LIMITS, Limits
from stence.ecg.formats.tables import Layout
from stence.objects.store import ObjectStore
from stence.pseudonym_key import load_pseudonyms

if TYPE_CHECKING:
    from stence.settings import Settings


class Rules(NamedTuple):
    """How ECGs are read, the same for scoring, training and pages."""

    zone: ZoneInfo
    """Time zone of files that name none."""
    max_bytes: int
    """Largest size of an ECG's files together."""
    pseudonyms: Pseudonyms
    """Pseudonyms of the patients whom files name."""
    limits: Limits = DEFAULT_LIMITS
    layouts: tuple[Layout, ...] = ()
    """Layouts of tables that the store declares."""
    quality: QualityLimits = DEFAULT_QUALITY
    """Limits of the quality check."""


def rules_of(settings: Settings, store: ObjectStore) -> Rules:
    """Return the rules that the settings and the store's layouts give. Raises StoreUnavailableError."""
    from stence.preparation.layouts import read_layouts  # noqa: PLC0415 - processes that prepare need no YAML

    zone, layouts = ZoneInfo(settings.timezone), read_layouts(store, settings)
    pseudonyms = load_pseudonyms(settings)
    return Rules(zone, settings.max_object_bytes, pseudonyms, limits_of(settings), layouts, settings.quality)


def limits_of(settings: Settings) -> Limits:
    """Return the largest ECG that the settings let readers read."""
    return Limits(
        channels=settings.max_ecg_channels,
        samples=settings.max_ecg_samples,
        nesting=settings.max_ecg_nesting,
        elements=settings.max_ecg_elements,
        expanded_bytes=settings.max_object_bytes,
        expansion=settings.max_expansion,
        members=settings.max_archive_members,
    )
