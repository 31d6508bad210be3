"""ECGs of a training as its index on disk lists them, one entry an ECG, without identifiers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stence.cohort.part import Part
from stence.cohort.signals import read_signals
from stence.domain.splits import Split
from stence.ecg.recipes import Recipe
from stence.ecg.recording import Sex

LAYOUT = 5
"""Version of the files in a training's folder. A folder of another layout is not resumed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An ECG: its content hash, numbers of its patient and study, and the row of its signal in its split."""

    content: str
    patient: int
    study: int
    split: str
    row: int
    samples: int
    labels: list[float | None]
    sex: Sex | None
    age: float | None
    sample_weight: float = 1.0
    indication: str = ""


def indication_code(text: str | None) -> str:
    """Return a code of an indication, the same for any spelling in capitals; empty if there is none.

    The text itself may be free and name a person, so it is not kept.

    >>> indication_code("Chest pain ") == indication_code("chest pain"), indication_code(None)
    (True, '')
    """
    words = (text or "").strip().casefold()
    return hashlib.sha256(words.encode()).hexdigest()[:12] if words else ""


def as_json(labels: NDArray[np.float32] | Sequence[float]) -> list[float | None]:
    """Labels as JSON can hold them: None where unknown (NaN)."""
    return [None if np.isnan(label) else float(label) for label in labels]


def parts_of(
    entries: Iterable[Entry],
    folder: Path,
    degrees: NDArray[np.float32],
    labels: int,
    windows: int,
    recipe: Recipe,
) -> Mapping[Split, Part]:
    """Return the ECGs by split. ``degrees`` (studies, 16) in percent; ``labels`` is their number per ECG."""
    by_split: dict[Split, list[Entry]] = {split: [] for split in Split}
    for entry in entries:
        by_split[Split(entry.split)].append(entry)
    return {
        split: _part(kept, degrees, labels, read_signals(folder, split, windows, recipe), recipe)
        for split, kept in by_split.items()
    }


def _part(
    entries: Sequence[Entry],
    degrees: NDArray[np.float32],
    labels: int,
    signals: NDArray[np.float32],
    recipe: Recipe,
) -> Part:
    known = [[np.nan if label is None else label for label in entry.labels] for entry in entries]
    studies = np.array([entry.study for entry in entries], dtype=np.int64)
    return Part(
        contents=tuple(entry.content for entry in entries),
        patients=np.array([entry.patient for entry in entries], dtype=np.int64),
        studies=studies,
        labels=np.array(known, dtype=np.float32).reshape(len(entries), labels),
        degrees=degrees[studies],
        sex=np.array([entry.sex or "" for entry in entries], dtype="U1"),
        age=np.array([np.nan if entry.age is None else entry.age for entry in entries], dtype=np.float64),
        samples=np.array([entry.samples for entry in entries], dtype=np.int64),
        rows=np.array([entry.row for entry in entries], dtype=np.int64),
        signals=signals,
        recipe=recipe,
        sample_weight=np.array([entry.sample_weight for entry in entries], dtype=np.float64),
        indication=np.array([entry.indication for entry in entries], dtype="U12"),
    )
