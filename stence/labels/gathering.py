"""Open labelled ECGs: check them as for scoring, drop duplicates, split by patient, store for training.

If neither the table nor the file names an ECG's patient, the ECG counts as a patient of its own. Several ECGs
of such a patient may fall into different splits. The number of these ECGs is counted.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from stence.cohort import Part, Split, split_of
from stence.cohort.entries import Entry, as_json, parts_of
from stence.cohort.gathering import DUPLICATE, kept_signal
from stence.cohort.signals import sync_signals, write_signal
from stence.concurrency import in_order
from stence.domain.targets import SEGMENTS
from stence.ecg import Reason, UnusableEcgError
from stence.ecg.recipes import VERSIONS, Recipe
from stence.files import write_json
from stence.labels.config import EchoNextSource
from stence.labels.echonext import open_echonext
from stence.labels.opened import Opened
from stence.labels.table import Labelled, LabelTable
from stence.objects import ObjectStore
from stence.preparation.reading import Identity, fetch, take_in
from stence.preparation.rules import Rules, rules_of
from stence.progress import Progress
from stence.settings import Settings

INDEX = "labels.json"
EXTENSIONS = (".hea", ".dcm")
ELSEWHERE = {Reason.OBJECT_MISSING, Reason.OBJECT_FORBIDDEN}
"""Reasons to try the next extension: some stores answer "forbidden" for an object that does not exist."""


@dataclass(frozen=True, slots=True)
class LabelledEcgs:
    """Labelled ECGs by split, counts of excluded ECGs by reason, and number of ECGs without a patient."""

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


def gather(
    table: LabelTable,
    store: ObjectStore,
    settings: Settings,
    folder: Path,
    progress: Progress,
    recipe: Recipe,
    echonext: EchoNextSource | None = None,
) -> LabelledEcgs:
    """Open the table's ECGs and store the usable ECGs in ``folder``, unless the folder is complete.

    The signals are prepared by ``recipe``; ECGs too short for it are left out. A duplicate ECG is used once.
    ``echonext`` names the files of the ECGs if they are EchoNext's. Raises StoreUnavailableError, and
    ConfigurationError for other files than EchoNext's.
    """
    if not (folder / INDEX).exists():
        if echonext is None:
            rules = rules_of(settings, store)
            opened = in_order(
                lambda row: _open(row, store, rules, settings, recipe), table.rows, settings.fetch_threads
            )
        else:
            windows = recipe.windows(settings.windows_per_ecg)
            opened = open_echonext(table.rows, store, echonext, recipe, windows)
        _write(table, opened, settings, folder, progress, recipe)
    return _read(folder, len(table.names))


def _write(
    table: LabelTable,
    opened: Iterator[Opened | str],
    settings: Settings,
    folder: Path,
    progress: Progress,
    recipe: Recipe,
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    entries: dict[str, Entry] = {}
    patients: dict[str, int] = {}
    rows: Counter[Split] = Counter()
    left_out, without_patient = Counter(table.left_out), 0
    for done, (row, outcome) in enumerate(zip(table.rows, opened, strict=True), start=1):
        if isinstance(outcome, str):
            left_out[outcome] += 1
        elif (content := outcome.ecg.content_hash.hex()) in entries:
            left_out[DUPLICATE] += 1
        else:
            write_signal(folder, outcome.split, outcome.signal)
            patient = patients.setdefault(outcome.ecg.patient_id, len(patients))
            entries[content] = _entry(row, outcome, len(entries), patient, rows[outcome.split])
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


def _open(
    row: Labelled, store: ObjectStore, rules: Rules, settings: Settings, recipe: Recipe
) -> Opened | str:
    """Return the ECG, or the reason why it cannot be used."""
    try:
        key, files = _fetch(row.record, store, rules)
        patient = row.patient_id and rules.pseudonyms.of(row.patient_id)
        identity = Identity(patient, otherwise=row.record)
        ecg = take_in(key, files, identity, rules)
        split, windows = split_of(ecg.patient_id), recipe.windows(settings.windows_per_ecg)
        return Opened(ecg, split, *kept_signal(ecg.recording, split, recipe, windows))
    except UnusableEcgError as error:
        return f"ecg_{error.finding.reason}"


def _fetch(record: str, store: ObjectStore, rules: Rules) -> tuple[str, Mapping[str, bytes]]:
    """Fetch a record. Return the key of its main file, with one of ``EXTENSIONS``, and its files."""
    *others, last = EXTENSIONS
    for extension in others:
        try:
            return record + extension, fetch(store, record + extension, rules).usable()
        except UnusableEcgError as error:
            if error.finding.reason not in ELSEWHERE:
                raise
    return record + last, fetch(store, record + last, rules).usable()


def _entry(row: Labelled, opened: Opened, number: int, patient: int, place: int) -> Entry:
    """Build the entry of one ECG, which counts as study ``number``."""
    recording = opened.ecg.recording
    return Entry(
        content=opened.ecg.content_hash.hex(),
        patient=patient,
        study=number,
        split=opened.split,
        row=place,
        samples=opened.samples,
        labels=as_json(row.answers),
        sex=recording.sex,
        age=recording.age,
    )


def _read(folder: Path, labels: int) -> LabelledEcgs:
    index = json.loads((folder / INDEX).read_text())
    entries = [Entry(**entry) for entry in index["ecgs"]]
    unknown = np.full((len(entries), SEGMENTS), np.nan, dtype=np.float32)
    parts = parts_of(entries, folder, unknown, labels, index["windows"], VERSIONS[index["recipe"]])
    return LabelledEcgs(parts, index["left_out"], index["without_patient"])
