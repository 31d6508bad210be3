"""Opening labelled ECGs: checked as for scoring, used once, split by patient, kept on disk for training.

An ECG whose patient neither the table nor its file names is a patient of its own: where such a patient has
several ECGs, they may fall into several splits. How many there are is counted.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from stence.cohort import Part, Split, split_of
from stence.cohort.gathering import DUPLICATE, kept_signal
from stence.cohort.signals import read_signals, sync_signals, write_signal
from stence.concurrency import in_order
from stence.domain.targets import SEGMENTS
from stence.ecg import Reason, UnusableEcgError
from stence.ecg.recording import Sex
from stence.encoders.recipes import VERSIONS, Recipe
from stence.files import write_json
from stence.labels.table import Labelled, LabelTable
from stence.objects import ObjectStore
from stence.progress import Progress
from stence.scoring.reading import Identity, UsableEcg, fetch, take_in
from stence.settings import Settings

INDEX = "labels.json"
EXTENSIONS = (".hea", ".dcm")
ELSEWHERE = {Reason.OBJECT_MISSING, Reason.OBJECT_FORBIDDEN}
"""Why an ECG may be there under the next extension: some stores forbid what does not exist."""


@dataclass(frozen=True, slots=True)
class LabelledEcgs:
    """Labelled ECGs by split, how many were left out by reason, and how many are patients of their own."""

    parts: Mapping[Split, Part]
    left_out: Mapping[str, int]
    without_patient: int

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the sorted ECGs: content hash, labels, split."""
        ecgs = (
            f"{content} {labels.tolist()} {split}"
            for split, part in self.parts.items()
            for content, labels in zip(part.contents, part.labels, strict=True)
        )
        return hashlib.sha256("\n".join(sorted(ecgs)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Entry:
    content: str
    patient: int
    split: str
    row: int
    samples: int
    answers: list[float | None]
    sex: Sex | None
    age: float | None


@dataclass(frozen=True, slots=True)
class _Opened:
    ecg: UsableEcg
    split: Split
    samples: int
    signal: NDArray[np.float32]


def gather(
    table: LabelTable,
    store: ObjectStore,
    settings: Settings,
    folder: Path,
    progress: Progress,
    recipe: Recipe,
) -> LabelledEcgs:
    """Open the table's ECGs and keep those that can be used in ``folder``; done only once for a folder.

    They are kept for models that read what ``recipe`` makes; shorter ones are left out. An ECG that comes
    twice is used once. Raises StoreUnavailableError.
    """
    if not (folder / INDEX).exists():
        _write(table, store, settings, folder, progress, recipe)
    return _read(folder, len(table.names))


def _write(
    table: LabelTable,
    store: ObjectStore,
    settings: Settings,
    folder: Path,
    progress: Progress,
    recipe: Recipe,
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    entries: dict[str, _Entry] = {}
    patients: dict[str, int] = {}
    rows: Counter[Split] = Counter()
    left_out, without_patient = Counter(table.left_out), 0
    opened = in_order(lambda row: _open(row, store, settings, recipe), table.rows, settings.fetch_threads)
    for done, (row, outcome) in enumerate(zip(table.rows, opened, strict=True), start=1):
        if isinstance(outcome, str):
            left_out[outcome] += 1
        elif (content := outcome.ecg.content_hash.hex()) in entries:
            left_out[DUPLICATE] += 1
        else:
            write_signal(folder, outcome.split, outcome.signal)
            patient = patients.setdefault(outcome.ecg.patient_id, len(patients))
            entries[content] = _entry(row, outcome, content, patient, rows[outcome.split])
            rows[outcome.split] += 1
            without_patient += outcome.ecg.patient_id == row.record
        progress("ECGs", done, len(table.rows))
    sync_signals(folder, rows)
    index = {
        "ecgs": [asdict(entry) for entry in entries.values()],
        "left_out": left_out,
        "without_patient": without_patient,
        "windows": recipe.windows(settings.windows_per_ecg),
        "recipe": recipe.version,
    }
    write_json(folder / INDEX, index)


def _open(row: Labelled, store: ObjectStore, settings: Settings, recipe: Recipe) -> _Opened | str:
    """The ECG, or why it cannot be used."""
    try:
        key, files = _fetch(row.record, store, settings.max_object_bytes)
        identity = Identity(row.patient_id, otherwise=row.record)
        ecg = take_in(key, files, identity, ZoneInfo(settings.timezone))
        split, windows = split_of(ecg.patient_id), recipe.windows(settings.windows_per_ecg)
        return _Opened(ecg, split, *kept_signal(ecg.recording, split, recipe, windows))
    except UnusableEcgError as error:
        return f"ecg_{error.finding.reason}"


def _fetch(record: str, store: ObjectStore, limit_bytes: int) -> tuple[str, Mapping[str, bytes]]:
    """The key of a record's main file, which ends in one of ``EXTENSIONS``, and its files."""
    *others, last = EXTENSIONS
    for extension in others:
        try:
            return record + extension, fetch(store, record + extension, limit_bytes).usable()
        except UnusableEcgError as error:
            if error.finding.reason not in ELSEWHERE:
                raise
    return record + last, fetch(store, record + last, limit_bytes).usable()


def _entry(row: Labelled, opened: _Opened, content: str, patient: int, place: int) -> _Entry:
    recording = opened.ecg.recording
    answers = [None if np.isnan(answer) else answer for answer in row.answers]
    return _Entry(
        content, patient, opened.split, place, opened.samples, answers, recording.sex, recording.age
    )


def _read(folder: Path, labels: int) -> LabelledEcgs:
    index = json.loads((folder / INDEX).read_text())
    entries = [_Entry(**entry) for entry in index["ecgs"]]
    recipe = VERSIONS[index["recipe"]]
    parts = {
        split: _part(
            [entry for entry in entries if entry.split == split],
            labels,
            read_signals(folder, split, index["windows"], recipe),
            recipe,
        )
        for split in Split
    }
    return LabelledEcgs(parts, index["left_out"], index["without_patient"])


def _part(entries: Sequence[_Entry], labels: int, signals: NDArray[np.float32], recipe: Recipe) -> Part:
    answers = [[np.nan if answer is None else answer for answer in entry.answers] for entry in entries]
    return Part(
        tuple(entry.content for entry in entries),
        np.array([entry.patient for entry in entries], dtype=np.int64),
        np.arange(len(entries)),
        np.array(answers, dtype=np.float32).reshape(len(entries), labels),
        np.full((len(entries), SEGMENTS), np.nan, dtype=np.float32),
        np.array([entry.sex or "" for entry in entries], dtype="U1"),
        np.array([np.nan if entry.age is None else entry.age for entry in entries], dtype=np.float64),
        np.array([entry.samples for entry in entries], dtype=np.int64),
        np.array([entry.row for entry in entries], dtype=np.int64),
        signals,
        recipe,
    )
