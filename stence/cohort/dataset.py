"""The cohort on disk: memory-mapped signal files, and a JSON index without identifiers.

Training ECGs are stored raw (500 Hz, mV, first 10 s, padded with NaN), because every epoch draws new crops.
All other ECGs are stored as a model reads them when it scores (``Recipe.prepare``).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stence.cohort.entries import Entry, as_json, parts_of
from stence.cohort.part import Part
from stence.cohort.signals import sync_signals, write_signal
from stence.domain.merged_patients import NOT_MERGED, Patients
from stence.domain.splits import Split
from stence.domain.targets import SEGMENTS, TARGETS
from stence.ecg.recipes import STENCE, VERSIONS, Recipe
from stence.ecg.recording import Sex
from stence.files import write_json
from stence.ingest.reports import Study

INDEX = "cohort.json"


@dataclass(frozen=True, slots=True)
class Example:
    """An ECG with its labels (6,), ``days_before`` its study; ``content`` is its hash in hexadecimal.

    ``sample_weight`` is that of its patient, see Referral; ``indication`` is a code, see ``indication_code``.

    ``signal`` is (12, RAW_SAMPLES) in the training split; after the first ``samples`` it is NaN.
    In other splits it is (windows, 12, samples of the recipe).
    """

    content: str
    patient_id: str
    study_id: str
    split: Split
    labels: NDArray[np.float32]
    samples: int
    signal: NDArray[np.float32]
    days_before: float
    sex: Sex | None = None
    age: float | None = None
    sample_weight: float = 1.0
    indication: str = ""


@dataclass(frozen=True, slots=True)
class StudyTable:
    """The cath studies of a cohort, with and without ECGs; a study's number is its position.

    ``patients`` (s,) are numbers as in Part; ``degrees`` (s, 16) in percent; ``angiograms`` holds a SHA-256
    of each study's usable angiograms, empty if there are none.
    """

    patients: NDArray[np.int64]
    degrees: NDArray[np.float32]
    splits: tuple[Split, ...]
    angiograms: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.patients)


@dataclass(frozen=True, slots=True)
class Cohort:
    """Labelled ECGs by split, their studies, and the numbers of excluded rows, studies and ECGs by reason.

    ``referral`` is the summary of the sample weights, ``held_out`` that of what was held out.
    """

    parts: Mapping[Split, Part]
    left_out: Mapping[str, int]
    studies: StudyTable
    referral: Mapping[str, Any] = field(default_factory=dict)
    held_out: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the sorted ECGs (content hash, labels, degrees, split) and studies with angiograms."""
        ecgs = (
            f"{content} {labels.tolist()} {degrees.tolist()} {split}"
            for split, part in self.parts.items()
            for content, labels, degrees in zip(part.contents, part.labels, part.degrees, strict=True)
        )
        table = self.studies
        studies = (
            f"{angiograms} {degrees.tolist()} {split}"
            for angiograms, degrees, split in zip(table.angiograms, table.degrees, table.splits, strict=True)
            if angiograms
        )
        return hashlib.sha256("\n".join([*sorted(ecgs), *sorted(studies)]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _StudyEntry:
    patient: int
    split: str
    degrees: tuple[float, ...]
    angiograms: str


class CohortWriter:
    """Writes a cohort into ``folder``, which is emptied first. The index is written last and completes it.

    ``angiograms`` is the SHA-256 of the usable angiograms by study id; ``windows`` is the number of windows
    of an ECG that is stored prepared by ``recipe``.
    """

    def __init__(
        self,
        folder: Path,
        studies: Iterable[Study],
        angiograms: Mapping[str, str],
        windows: int,
        recipe: Recipe = STENCE,
        patients: Patients = NOT_MERGED,
    ) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        self._folder = folder
        self._windows, self._recipe = windows, recipe
        self._rows: Counter[Split] = Counter()
        self._patients: dict[str, int] = {}
        self._entries: list[Entry] = []
        self._numbers: dict[str, int] = {}
        self._studies: list[_StudyEntry] = []
        for study in studies:
            self._numbers[study.study_id] = len(self._studies)
            patient = self._patients.setdefault(study.patient_id, len(self._patients))
            split, hashed = patients.split_of(study.patient_id), angiograms.get(study.study_id, "")
            self._studies.append(_StudyEntry(patient, split, study.degrees, hashed))

    def add(self, example: Example) -> None:
        """Append one ECG."""
        write_signal(self._folder, example.split, example.signal)
        self._entries.append(
            Entry(
                content=example.content,
                patient=self._patients[example.patient_id],
                study=self._numbers[example.study_id],
                split=example.split,
                row=self._rows[example.split],
                samples=example.samples,
                labels=as_json(example.labels),
                sex=example.sex,
                age=example.age,
                sample_weight=example.sample_weight,
                indication=example.indication,
            )
        )
        self._rows[example.split] += 1

    def finish(
        self,
        without: Collection[str],
        left_out: Mapping[str, int],
        referral: Mapping[str, Any] = MappingProxyType({}),
        held_out: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Write the index without the ECGs whose content hash is in ``without``."""
        sync_signals(self._folder, self._rows)
        index = {
            "ecgs": [asdict(entry) for entry in self._entries if entry.content not in without],
            "studies": [asdict(study) for study in self._studies],
            "left_out": left_out,
            "windows": self._windows,
            "recipe": self._recipe.version,
            "referral": dict(referral),
            "held_out": dict(held_out),
        }
        write_json(self._folder / INDEX, index)


def is_written(folder: Path) -> bool:
    """True if ``folder`` holds a finished cohort."""
    return (folder / INDEX).exists()


def read_cohort(folder: Path) -> Cohort:
    """Read the finished cohort in ``folder``."""
    index = json.loads((folder / INDEX).read_text())
    entries = [Entry(**entry) for entry in index["ecgs"]]
    studies = _study_table([_StudyEntry(**study) for study in index["studies"]])
    parts = parts_of(
        entries, folder, studies.degrees, len(TARGETS), index["windows"], VERSIONS[index["recipe"]]
    )
    return Cohort(parts, index["left_out"], studies, index["referral"], index["held_out"])


def _study_table(entries: Sequence[_StudyEntry]) -> StudyTable:
    return StudyTable(
        np.array([entry.patient for entry in entries], dtype=np.int64),
        np.array([entry.degrees for entry in entries], dtype=np.float32).reshape(len(entries), SEGMENTS),
        tuple(Split(entry.split) for entry in entries),
        tuple(entry.angiograms for entry in entries),
    )
