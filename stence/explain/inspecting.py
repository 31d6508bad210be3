"""The page of an ECG file without a score: the drawing, and what the quality check finds."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from stence.ecg import Recording, UnusableEcgError, check, read
from stence.explain.layout import inspection_page
from stence.objects import ObjectStore
from stence.preparation.reading import decode_object, fetch
from stence.preparation.rules import rules_of
from stence.settings import Settings


def inspect_file(path: Path, settings: Settings) -> str:
    """Return the page of a local ECG file as HTML."""
    return _page(path.name, lambda: read(path), settings)


def inspect_object(store: ObjectStore, key: str, settings: Settings) -> str:
    """Return the page of an ECG in the store as HTML. Raises StoreUnavailableError."""
    name = posixpath.basename(key)
    rules = rules_of(settings, store)
    return _page(name, lambda: decode_object(key, fetch(store, key, rules).usable(), rules), settings)


def _page(name: str, load: Callable[[], Recording], settings: Settings) -> str:
    written_at = datetime.now(ZoneInfo(settings.timezone))
    try:
        recording = load()
    except UnusableEcgError as error:
        return inspection_page(name, None, [error.finding], written_at)
    return inspection_page(name, recording, check(recording, settings.quality), written_at)
