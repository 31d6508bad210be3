"""The cohort on disk: signals in files that are mapped, not loaded, beside a JSON index without identifiers.

Training ECGs are kept raw (500 Hz, mV; the first 10 s, shorter ones ending in NaN), since every epoch crops
them anew. All others are kept as a model reads them when it scores (``stence.ecg.prepare``).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stence.cohort.splits import Split
from stence.ecg import LEADS, SAMPLING_RATE, WINDOW_SAMPLES
from stence.ecg.recording import Sex
from stence.models.targets import TARGETS

RAW_SAMPLES = 10 * SAMPLING_RATE
INDEX = "cohort.json"


@dataclass(frozen=True, slots=True)
class Example:
    """An ECG with its labels (6,); ``content`` is its content hash in hexadecimal.

    ``signal`` is (12, RAW_SAMPLES) in the training split, the first ``samples`` of it recorded, and
    (windows, 12, 1500) elsewhere.
    """

    content: str
    patient_id: str
    study_id: str
    split: Split
    labels: NDArray[np.float32]
    samples: int
    signal: NDArray[np.float32]
    sex: Sex | None = None
    age: float | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """The ECGs of one split, as in Example; ECG ``i`` is ``signals[rows[i]]``, read from disk when asked for.

    ``patients`` (n,) are numbers that only tell patients apart; ``labels`` (n, 6); ``sex`` (n,) is F, M or
    empty, ``age`` (n,) in years or NaN, as the file says.
    """

    contents: tuple[str, ...]
    patients: NDArray[np.int64]
    labels: NDArray[np.float32]
    sex: NDArray[np.str_]
    age: NDArray[np.float64]
    samples: NDArray[np.int64]
    rows: NDArray[np.int64]
    signals: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def patient_count(self) -> int:
        """How many patients the ECGs come from."""
        return len(np.unique(self.patients))

    @property
    def weights(self) -> NDArray[np.float64]:
        """One over the number of the patient's ECGs (n,), so that every patient weighs the same."""
        _, inverse, counts = np.unique(self.patients, return_inverse=True, return_counts=True)
        return np.asarray(1.0 / counts[inverse])


@dataclass(frozen=True, slots=True)
class Cohort:
    """Labelled ECGs by split, and how many rows, studies and ECGs were left out, by reason."""

    parts: Mapping[Split, Part]
    left_out: Mapping[str, int]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the sorted (content hash, labels, split) of all ECGs."""
        lines = sorted(
            f"{content} {labels.tolist()} {split}"
            for split, part in self.parts.items()
            for content, labels in zip(part.contents, part.labels, strict=True)
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Entry:
    content: str
    patient: int
    split: str
    row: int
    samples: int
    labels: list[float | None]
    sex: Sex | None
    age: float | None


class CohortWriter:
    """Writes a cohort into ``folder``, which is emptied; the index goes last, so that half of one is none."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        self._folder = folder
        self._rows: Counter[Split] = Counter()
        self._patients: dict[str, int] = {}
        self._entries: list[_Entry] = []

    def add(self, example: Example) -> None:
        """Append one ECG."""
        with _signal_file(self._folder, example.split).open("ab") as file:
            file.write(np.ascontiguousarray(example.signal, dtype=np.float32).data)
        self._entries.append(
            _Entry(
                example.content,
                self._patients.setdefault(example.patient_id, len(self._patients)),
                example.split,
                self._rows[example.split],
                example.samples,
                [None if np.isnan(label) else float(label) for label in example.labels],
                example.sex,
                example.age,
            )
        )
        self._rows[example.split] += 1

    def finish(self, without: Collection[str], left_out: Mapping[str, int]) -> None:
        """Write the index, leaving out the ECGs whose content is in ``without``."""
        for split in self._rows:
            with _signal_file(self._folder, split).open("ab") as file:
                os.fsync(file.fileno())
        kept = [asdict(entry) for entry in self._entries if entry.content not in without]
        unfinished = self._folder / f"{INDEX}.unfinished"
        unfinished.write_text(json.dumps({"ecgs": kept, "left_out": left_out}))
        unfinished.replace(self._folder / INDEX)


def is_written(folder: Path) -> bool:
    """Whether ``folder`` holds a finished cohort."""
    return (folder / INDEX).exists()


def read_cohort(folder: Path, windows: int) -> Cohort:
    """The finished cohort in ``folder``, which was prepared with ``windows`` an ECG."""
    index = json.loads((folder / INDEX).read_text())
    entries = [_Entry(**entry) for entry in index["ecgs"]]
    return Cohort(
        {split: _part(folder, split, [e for e in entries if e.split == split], windows) for split in Split},
        index["left_out"],
    )


def _part(folder: Path, split: Split, entries: Sequence[_Entry], windows: int) -> Part:
    shape = (len(LEADS), RAW_SAMPLES) if split is Split.TRAIN else (windows, len(LEADS), WINDOW_SAMPLES)
    labels = [[np.nan if label is None else label for label in entry.labels] for entry in entries]
    return Part(
        tuple(entry.content for entry in entries),
        np.array([entry.patient for entry in entries], dtype=np.int64),
        np.array(labels, dtype=np.float32).reshape(len(entries), len(TARGETS)),
        np.array([entry.sex or "" for entry in entries], dtype="U1"),
        np.array([np.nan if entry.age is None else entry.age for entry in entries], dtype=np.float64),
        np.array([entry.samples for entry in entries], dtype=np.int64),
        np.array([entry.row for entry in entries], dtype=np.int64),
        _mapped(_signal_file(folder, split), shape) if entries else np.empty((0, *shape), dtype=np.float32),
    )


def _mapped(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.memmap(path, dtype=np.float32, mode="r").reshape(-1, *shape)


def _signal_file(folder: Path, split: Split) -> Path:
    return folder / f"{split}.f32"
