"""The page of an ECG file without a score: the drawing, and what the quality check finds."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from stence.ecg import LEADS, POLICY, Action, Finding, Recording, UnusableEcgError, check, machine, read
from stence.explain.layout import inspection_page
from stence.objects import ObjectStore
from stence.preparation.reading import decode_object, fetch
from stence.preparation.rules import rules_of
from stence.settings import Settings


@dataclass(frozen=True, slots=True)
class Inspection:
    """An ECG file without a score: its page as HTML, and what was read and found.

    ``recording`` is None if the file cannot be read.
    """

    html: str
    recording: Recording | None
    findings: Sequence[Finding]

    @property
    def verdict(self) -> str:
        """What the quality check decides, in plain words."""
        refused = any(POLICY[finding.reason] is Action.QUARANTINE for finding in self.findings)
        if refused:
            return "This ECG would go to quarantine and is not scored."
        warned = " Its score would carry a warning." if self.findings else ""
        return f"This ECG can be scored, if its patient is known.{warned}"

    def facts(self, *, show_patient: bool = False) -> dict[str, str]:
        """Return what was read, by its name; nothing that is unknown."""
        ecg = self.recording
        if ecg is None:
            return {}
        said = {
            "format": ecg.format,
            "patient": ecg.patient_id if show_patient else None,
            "sampling rate": f"{ecg.sampling_rate:g} Hz",
            "leads": f"{len(LEADS)}: {' '.join(LEADS)}",
            "length": f"{ecg.seconds:.1f} s",
            "recorded": ecg.acquired_at.isoformat(" ", "seconds") if ecg.acquired_at else None,
            "device": ecg.device,
            "filters": ecg.filters,
            "measurements": machine.in_words(ecg.measurements),
            "statements": "; ".join(ecg.statements),
        }
        return {name: words for name, words in said.items() if words}


def inspect_file(path: Path, settings: Settings, *, show_patient: bool = False) -> Inspection:
    """Inspect a local ECG file."""
    return _inspect(path.name, lambda: read(path), settings, show_patient)


def inspect_object(
    store: ObjectStore, key: str, settings: Settings, *, show_patient: bool = False
) -> Inspection:
    """Inspect an ECG in the store. Raises StoreUnavailableError."""
    name = posixpath.basename(key)
    rules = rules_of(settings, store)

    def load() -> Recording:
        return decode_object(key, fetch(store, key, rules).usable(), rules)

    return _inspect(name, load, settings, show_patient)


def _inspect(name: str, load: Callable[[], Recording], settings: Settings, show_patient: bool) -> Inspection:
    recording: Recording | None = None
    try:
        recording = load()
        findings = check(recording, settings.quality)
    except UnusableEcgError as error:
        findings = [error.finding]
    patient = recording.patient_id if recording and show_patient else None
    written_at = datetime.now(ZoneInfo(settings.timezone))
    return Inspection(inspection_page(name, recording, findings, written_at, patient), recording, findings)
