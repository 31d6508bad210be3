"""Manifests: ``record_list.csv`` in the layout of MIMIC-IV-ECG, which names patient and time of ECG files.

Two columns more may be there: ``site`` and ``indication``, where and why it was recorded. Manifests are
mirrored: what one no longer says does not hold, and an ECG that rows give to several patients is nobody's.
"""

from __future__ import annotations

import logging
import posixpath
from collections import Counter
from collections.abc import Collection, Iterator
from datetime import datetime
from functools import partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.dialects.postgresql import insert

from stence import patience
from stence.database import queries, tables
from stence.database.copy import copy_rows
from stence.database.outage import patiently
from stence.domain.text import plain_text
from stence.errors import ObjectError, StoreUnavailableError
from stence.ingest.faults import Fault, SourceKind, log_faults, write_faults
from stence.ingest.records import update_records
from stence.ingest.tables import (
    Cells,
    FileError,
    FileFault,
    RowError,
    RowFault,
    named_patient,
    named_time,
    read_rows,
)
from stence.objects import ObjectStore, StoredObject
from stence.objects.store import MAX_KEY_BYTES
from stence.settings import Settings

log = logging.getLogger(__name__)

COLUMNS = ("subject_id", "path")
OPTIONAL = ("study_id", "ecg_time", "site", "indication")
MAX_FAULTS_KEPT = 1000
"""Of one manifest; all are counted."""
ROW_STEPS = ("manifest_02_touched", "manifest_03_withdraw", "manifest_04_rows")


class ManifestRow(NamedTuple):
    """A usable row of a manifest; ``line`` counts from 1, the header's."""

    line: int
    record_key: str
    patient_id: str
    study_id: str | None
    acquired_at: datetime | None
    local_timezone: str | None
    site: str | None
    indication: str | None


class Taken(NamedTuple):
    """How many rows of a manifest were taken up, and how many could not be used."""

    rows: int = 0
    refused: int = 0


def import_manifests(engine: Engine, store: ObjectStore, settings: Settings, manifest: StoredObject) -> Taken:
    """Read a manifest, unless it was read in this version; ECGs of which it changes anything become pending.

    Rows that cannot be used are in ``source_faults`` by line. A manifest that cannot be fetched keeps what it
    said before. Rows stream into the database: memory is bounded.
    Raises StoreUnavailableError, DatabaseUnavailableError.
    """
    if patiently(partial(_known_etag, engine, manifest.key), settings.outage_seconds) == manifest.etag:
        return Taken()
    reader = _Reader(manifest.key, ZoneInfo(settings.timezone))

    def action() -> Taken:
        with engine.begin() as connection:
            return _import(connection, store, manifest, reader)

    try:
        taken = patience.patiently(
            lambda: patiently(action, settings.outage_seconds),
            settings.outage_seconds,
            StoreUnavailableError,
        )
    except ObjectError:
        taken = Taken(0, 1)
        reader.start()
        reader.complain(0, FileFault.NOT_FETCHED)
        patiently(partial(_note_faults, engine, reader), settings.outage_seconds)
    log_faults(log, SourceKind.MANIFEST, manifest.key, reader.reasons)
    log.info("manifest: %d rows taken up, %d refused", *taken, extra={"object_key": manifest.key})
    return taken


def withdraw_missing(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    listed: Collection[str],
    closed: tuple[str, ...] = (),
) -> int:
    """Take back what manifests said that are not in the listing any more; how many such manifests there are.

    One below a prefix that is ``closed`` to listing is kept; so is one that is gone together with the ECGs
    that it names: more likely a folder is not mounted.
    """
    known = patiently(partial(_known_below, engine, settings.ecg_prefix), settings.outage_seconds)
    missing = [key for key in known if key not in listed and not key.startswith(closed)]
    gone = [key for key in missing if _has_ecgs(engine, store, key)]
    for key in gone:
        patiently(partial(_withdraw, engine, key), settings.outage_seconds)
        log.warning("a manifest was deleted: its rows no longer hold", extra={"object_key": key})
    if kept := len(missing) - len(gone):
        log.warning("%d manifests are gone together with all ECGs they name: they are kept", kept)
    return len(gone)


def _known_etag(engine: Engine, key: str) -> str | None:
    with engine.connect() as connection:
        return connection.scalar(select(tables.manifests.c.etag).filter_by(key=key))


def _known_below(engine: Engine, prefix: str) -> list[str]:
    key = tables.manifests.c.key
    with engine.connect() as connection:
        return list(connection.scalars(select(key).where(key.startswith(prefix, autoescape=True))))


def _import(connection: Connection, store: ObjectStore, manifest: StoredObject, reader: _Reader) -> Taken:
    reader.start()
    connection.execute(queries.statement("stage_manifest_rows"))
    rows = reader.rows(store)
    copy_rows(connection, "staged_manifest_rows", ManifestRow._fields, rows)
    contradicted = _replace_rows(connection, manifest.key)
    write_faults(connection, SourceKind.MANIFEST, reader.faults, manifest.key)
    taken = Taken(reader.rows_seen - reader.refused - contradicted, reader.refused + contradicted)
    values = {"etag": manifest.etag, "rows_read": taken.rows, "rows_refused": taken.refused}
    remember = insert(tables.manifests).values(key=manifest.key, **values)
    connection.execute(remember.on_conflict_do_update(index_elements=["key"], set_=values))
    return taken


def _replace_rows(connection: Connection, key: str) -> int:
    """Make the manifest's rows the staged ones; how many of them others contradict."""
    connection.execute(queries.statement("manifest_01_lock"))
    values = {"manifest_key": key}
    for step in ROW_STEPS:
        connection.execute(queries.statement(step), values)
    update_records(connection)
    return int(connection.scalar(queries.statement("count_contradictions"), values) or 0)


def _withdraw(engine: Engine, key: str) -> None:
    with engine.begin() as connection:
        connection.execute(queries.statement("stage_manifest_rows"))
        _replace_rows(connection, key)
        write_faults(connection, SourceKind.MANIFEST, (), key)
        connection.execute(delete(tables.manifests).where(tables.manifests.c.key == key))


def _note_faults(engine: Engine, reader: _Reader) -> None:
    with engine.begin() as connection:
        write_faults(connection, SourceKind.MANIFEST, reader.faults, reader.key)


def _has_ecgs(engine: Engine, store: ObjectStore, manifest_key: str) -> bool:
    """Whether any of the first ECGs that a manifest names is still in the store, or it names none."""
    named = (
        select(tables.objects.c.key)
        .join(tables.manifest_rows, tables.manifest_rows.c.record_key == tables.objects.c.record_key)
        .where(tables.manifest_rows.c.manifest_key == manifest_key)
        .order_by(tables.manifest_rows.c.line)
        .limit(20)
    )
    with engine.connect() as connection:
        keys = list(connection.scalars(named))
    return not keys or any(_is_there(store, key) for key in keys)


def _is_there(store: ObjectStore, key: str) -> bool:
    try:
        store.head(key)
    except ObjectError:
        return False
    return True


class _Reader:
    """Turns the lines of one manifest into rows, and counts what must be refused."""

    def __init__(self, key: str, zone: ZoneInfo) -> None:
        self.key = key
        self._folder = posixpath.dirname(key)
        self._zone = zone
        self.start()

    def start(self) -> None:
        """Forget what was read before: a transaction may be tried again."""
        self.rows_seen = self.refused = 0
        self.faults: list[Fault] = []
        self.reasons: Counter[str] = Counter()

    def rows(self, store: ObjectStore) -> Iterator[ManifestRow]:
        """The usable rows."""
        try:
            for line, cells in read_rows(self.key, store.stream(self.key), COLUMNS, OPTIONAL):
                self.rows_seen += 1
                try:
                    yield self._row(line, cells)
                except RowError as error:
                    self.refused += 1
                    self.complain(line, error.fault)
        except FileError as error:
            self.refused += 1
            self.complain(0, error.fault)

    def complain(self, line: int, reason: str) -> None:
        """Note a fault."""
        self.reasons[reason] += 1
        if len(self.faults) < MAX_FAULTS_KEPT:
            self.faults.append(Fault(self.key, line, reason))

    def _row(self, line: int, cells: Cells | RowError) -> ManifestRow:
        if isinstance(cells, RowError):
            raise cells
        patient, key = named_patient(cells["subject_id"]), self._record_key(cells["path"])
        time = self._time(cells.get("ecg_time", ""), line)
        local = self._zone.key if time is not None and time.tzinfo is self._zone else None
        study, site, indication = (
            plain_text(cells.get(name, "")) for name in ("study_id", "site", "indication")
        )
        return ManifestRow(line, key, patient, study, time, local, site, indication)

    def _record_key(self, path: str) -> str:
        key = posixpath.normpath(posixpath.join(self._folder, path))
        if not path or not path.isprintable() or len(key.encode()) > MAX_KEY_BYTES:
            raise RowError(RowFault.PATH_UNUSABLE)
        return key

    def _time(self, text: str, line: int) -> datetime | None:
        """The time in a cell; a row without a usable one is used without it, and that is told."""
        if not text:
            return None
        try:
            return named_time(text, self._zone)
        except RowError as error:
            self.complain(line, error.fault)
            return None
