"""Read EchoNext's own files (PhysioNet, versions 1.1.x): waveforms as NumPy arrays, labels as CSV.

``EchoNext_SPLIT_waveforms.npy`` is (n, 1, 2500, 12): 10 s at 250 Hz, leads in the order of ``LEADS``, already
filtered, clipped and scaled by the authors, so not in millivolts: the quality checks of scoring do not apply.
Row i belongs to the i-th row of the metadata with this ``split``. The test and validation patients are
EchoNext's; of its training patients, a tenth or so calibrates, chosen as everywhere in stence. Its split
``no_split`` is left out.
"""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import groupby
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from stence.cohort import Split, split_of
from stence.cohort.gathering import kept_signal
from stence.domain.patients import PatientIdError, patient_id
from stence.ecg import LEADS, Recording, UnusableEcgError
from stence.ecg.recipes import Recipe
from stence.errors import ConfigurationError, ObjectError
from stence.ingest.tables import FileError, RowError, read_rows
from stence.labels.config import EchoNextSource
from stence.labels.opened import Opened
from stence.labels.table import ANSWERS, LABEL_UNREADABLE, Labelled, LabelTable, known_rows
from stence.objects import ObjectStore
from stence.preparation.reading import UsableEcg

ECG, PATIENT, SPLIT = "ecg_key", "patient_key", "split"
SPLITS = {"test": Split.TEST, "train": Split.TRAIN, "val": Split.VALIDATION}
SAMPLES, RATE = 2500, 250
NOT_SPLIT = "row_without_split"
NO_PATIENT = "row_id_unreadable"


def read_echonext(store: ObjectStore, source: EchoNextSource) -> LabelTable:
    """Read the labels. A record's name is ``SPLIT/ROW``, the row of its waveform.

    Raises ConfigurationError if the metadata are missing, or a row is unreadable: then no later row could be
    matched with its waveform.
    """
    rows: list[Labelled] = []
    places: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    key = source.prefix + source.metadata
    try:
        for line, cells in read_rows(key, store.stream(key), (ECG, PATIENT, SPLIT, *source.labels)):
            if isinstance(cells, RowError):
                raise ConfigurationError(f"{key}, line {line}: {cells.fault}; get the file again")
            split = cells[SPLIT]
            if split not in SPLITS:
                left_out[NOT_SPLIT] += 1
                continue
            place = places[split]
            places[split] += 1
            row = _row(f"{split}/{place:07d}", cells[PATIENT], [cells[name] for name in source.labels])
            if isinstance(row, str):
                left_out[row] += 1
            else:
                rows.append(row)
    except (FileError, ObjectError) as error:
        raise ConfigurationError(f"{key} does not hold the metadata of EchoNext: {error}") from None
    return known_rows(source.labels, iter(rows), left_out)


def open_echonext(
    rows: Sequence[Labelled], store: ObjectStore, source: EchoNextSource, recipe: Recipe, windows: int
) -> Iterator[Opened | str]:
    """Yield each row's ECG, or the reason why it cannot be used. The rows are sorted by record.

    Raises ConfigurationError if a file of waveforms is missing or has another layout.
    """
    for split, group in groupby(rows, key=lambda row: row.record.partition("/")[0]):
        wanted = {int(row.record.partition("/")[2]): row for row in group}
        for place, signal in _signals(store, f"{source.prefix}EchoNext_{split}_waveforms.npy", max(wanted)):
            if place in wanted:
                yield _opened(wanted[place], SPLITS[split], signal, recipe, windows)


def _row(record: str, patient: str, cells: list[str]) -> Labelled | str:
    answers = [ANSWERS.get(cell.lower()) for cell in cells]
    known = tuple(answer for answer in answers if answer is not None)
    if len(known) < len(answers):
        return LABEL_UNREADABLE
    try:
        named = patient_id(patient)
    except PatientIdError:
        named = None
    return NO_PATIENT if named is None else Labelled(record, named, known)


def _opened(
    row: Labelled, split: Split, signal: NDArray[np.float32], recipe: Recipe, windows: int
) -> Opened | str:
    patient = row.patient_id or row.record
    if split is Split.TRAIN and split_of(patient) is Split.CALIBRATION:
        split = Split.CALIBRATION
    recording = Recording(signal, sampling_rate=RATE, patient_id=patient)
    ecg = UsableEcg(recording, patient, patient, None, None, None, (), recording.content_hash)
    try:
        return Opened(ecg, split, *kept_signal(recording, split, recipe, windows))
    except UnusableEcgError as error:
        return f"ecg_{error.finding.reason}"


def _signals(store: ObjectStore, key: str, last: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield row and signal (12, 2500) of the waveforms up to row ``last``, from a stream."""
    try:
        with closing(store.stream(key)) as chunks:
            file = io.BufferedReader(_Stream(chunks))
            count, kind = _header(file)
            if count <= last:
                raise ValueError(f"{count} waveforms, and row {last} has labels")
            size = SAMPLES * len(LEADS) * kind.itemsize
            for place in range(last + 1):
                content = file.read(size)
                if len(content) < size:
                    raise ValueError(f"ends in row {place}")
                samples = np.frombuffer(content, kind).reshape(SAMPLES, len(LEADS)).T
                yield place, np.where(np.isfinite(samples), samples, math.nan).astype(np.float32)
    except (ObjectError, ValueError) as error:
        raise ConfigurationError(f"{key} does not hold the waveforms of EchoNext: {error}") from None


def _header(file: io.BufferedReader[Any]) -> tuple[int, np.dtype[Any]]:
    """Read the head of an array; return its number of rows and the type of its numbers."""
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(file)
    if version not in readers:
        raise ValueError(f"NumPy format {version}")
    shape, by_columns, kind = readers[version](file)
    if by_columns or shape[1:] != (1, SAMPLES, len(LEADS)) or kind.kind != "f":
        raise ValueError(f"an array {shape} of {kind}, not (n, 1, {SAMPLES}, {len(LEADS)}) of numbers")
    return shape[0], kind


class _Stream(io.RawIOBase):
    """Pieces of an object as a file."""

    def __init__(self, chunks: Generator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._chunks, b"")
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)
