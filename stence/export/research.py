"""Export ECGs for research: files under pseudonyms, without what could identify a patient.

Kept are the signal, sex and age; the time and the machine's statements on request. Device, serial number,
site, indication and every other text stay here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine

from stence.database import audit, queries
from stence.database.outage import transact
from stence.domain.merged_patients import Patients
from stence.ecg import Finding, UnusableEcgError
from stence.ecg.writing import WRITERS, Particulars
from stence.errors import StenceError, StoreUnavailableError
from stence.files import write_whole
from stence.ingest.grouping import record_key
from stence.ingest.patients import load_merged
from stence.objects import ObjectStore
from stence.preparation.reading import Identity, UsableEcg, fetch, take_in
from stence.preparation.rules import Rules, rules_of
from stence.retry import retry
from stence.settings import Settings

MAX_AGE = 90
"""Older patients are few, so that their age could identify them."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What an export holds: the file format, and whether times and the machine's statements are kept."""

    to: Literal["wfdb", "dicom"]
    with_times: bool = False
    with_statements: bool = False


class Converted(NamedTuple):
    """Outcome of one ECG. ``refusal`` is None if its files were written."""

    key: str
    refusal: Finding | None


def convert(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    keys: Sequence[str],
    folder: Path,
    contents: Contents,
) -> Iterator[Converted]:
    """Write ECGs of the store into ``folder``, and yield the outcome of each key.

    Files are named by pseudonym and a running number. An ECG that cannot be scored is refused with
    its reason. The audit tells of the export before a file is written. Raises StenceError if the folder has
    files, StoreUnavailableError and DatabaseUnavailableError after ``settings.outage_seconds``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise StenceError(f"{folder} is not empty: name a new folder, so that exports do not mix.")
    transact(engine, settings.outage_seconds, _record, len(keys), contents)
    reader = _Reader(engine, store, settings, transact(engine, settings.outage_seconds, load_merged))
    rules, number = rules_of(settings, store), 1
    for key in keys:
        try:
            ecg = reader.read(key, rules)
            name = f"{ecg.patient_id}-{number:06d}"
            particulars = _particulars(ecg, contents, rules.zone)
            files = WRITERS[contents.to](name, ecg.recording, particulars)
        except UnusableEcgError as error:
            yield Converted(key, error.finding)
            continue
        for file_name, content in files.items():
            write_whole(folder / file_name, content)
        number += 1
        yield Converted(key, None)


def _record(connection: Connection, ecgs: int, contents: Contents) -> None:
    kept = {"with_times": contents.with_times, "with_statements": contents.with_statements}
    why = "stence convert"
    audit.record(connection, "ecgs.exported", contents.to, by="stence", why=why, ecgs=ecgs, **kept)


class _Reader(NamedTuple):
    """Reads ECGs as scoring does, with the patient of the file or the manifests."""

    engine: Engine
    store: ObjectStore
    settings: Settings
    patients: Patients

    def read(self, key: str, rules: Rules) -> UsableEcg:
        """Read and check an ECG. Raises UnusableEcgError."""
        seconds = self.settings.outage_seconds
        fetched = retry(partial(fetch, self.store, key, rules), seconds, StoreUnavailableError)
        given = transact(self.engine, seconds, _identity, key)
        return take_in(key, fetched.usable(), given, rules, self.patients)


def _identity(connection: Connection, key: str) -> Identity:
    about = {"record_key": record_key(key)}
    found = connection.execute(queries.statement("convert_identity"), about).mappings().one_or_none()
    return Identity(**found) if found else Identity()


def _particulars(ecg: UsableEcg, contents: Contents, zone: ZoneInfo) -> Particulars:
    """Return what may leave of an ECG. Times are in the hospital's zone."""
    recording, moment = ecg.recording, ecg.acquired_at if contents.with_times else None
    return Particulars(
        ecg.patient_id,
        recording.sex,
        None if recording.age is None else min(int(recording.age), MAX_AGE),
        moment.astimezone(zone) if moment else None,
        recording.statements if contents.with_statements else (),
    )
