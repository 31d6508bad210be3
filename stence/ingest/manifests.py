"""Manifests: ``record_list.csv`` in the layout of MIMIC-IV-ECG, with patient and time of each ECG file.

Two more columns are optional: ``site`` (the place of recording) and ``indication`` (the reason). Manifests
are mirrored: a row that is removed no longer holds. An ECG with rows of several patients belongs to no
patient.
"""

from __future__ import annotations

import logging
import posixpath
from collections import Counter
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.dialects.postgresql import insert

from stence.database import queries, tables
from stence.database.copy import copy_rows
from stence.database.outage import transact
from stence.domain.opt_outs import OPTED_OUT, OptOuts
from stence.domain.pseudonyms import Pseudonyms
from stence.domain.text import plain_text
from stence.errors import ObjectError, StoreUnavailableError
from stence.ingest.faults import Fault, SourceKind, log_faults, write_faults
from stence.ingest.patients import load_opt_outs
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
from stence.objects.store import is_portable
from stence.pseudonym_key import load_pseudonyms
from stence.retry import retry
from stence.settings import Settings

log = logging.getLogger(__name__)

COLUMNS = ("subject_id", "path")
OPTIONAL = ("study_id", "ecg_time", "site", "indication")
MAX_FAULTS_KEPT = 1000
"""Maximum number of stored faults per manifest; all faults are counted."""
ROW_STEPS = ("manifest_02_touched", "manifest_03_withdraw", "manifest_04_rows")


class ManifestRow(NamedTuple):
    """A usable row of a manifest; the header is ``line`` 1. Of an opted-out patient only the ECG is kept.

    ``number`` is for the map of patients alone.
    """

    line: int
    record_key: str
    patient_id: str
    number: str | None = None
    study_id: str | None = None
    acquired_at: datetime | None = None
    local_timezone: str | None = None
    site: str | None = None
    indication: str | None = None


class Taken(NamedTuple):
    """Numbers of imported and of refused rows of a manifest."""

    rows: int = 0
    refused: int = 0


def import_manifests(engine: Engine, store: ObjectStore, settings: Settings, manifest: StoredObject) -> Taken:
    """Import a manifest, unless this version was imported before. ECGs with changed data become pending.

    Unusable rows are recorded in ``source_faults`` by line. If a manifest cannot be fetched, its earlier rows
    still hold. Rows are streamed into the database, so memory is bounded.
    Raises StoreUnavailableError, DatabaseUnavailableError.
    """
    if transact(engine, settings.outage_seconds, _known_etag, manifest.key) == manifest.etag:
        return Taken()
    reader = _Reader(manifest.key, ZoneInfo(settings.timezone), load_pseudonyms(settings))

    def action() -> Taken:
        return transact(engine, settings.outage_seconds, _import, store, manifest, reader)

    try:
        taken = retry(action, settings.outage_seconds, StoreUnavailableError)
    except ObjectError:
        taken = Taken(0, 1)
        reader.start()
        reader.complain(0, FileFault.NOT_FETCHED)
        transact(engine, settings.outage_seconds, _note_faults, reader)
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
    """Withdraw the rows of manifests that are missing from the listing. Return the number of such manifests.

    Manifests below ``closed`` prefixes, which cannot be listed, are kept. A manifest that is missing together
    with its ECGs is kept too: an unmounted folder is the more likely cause.
    """
    known = transact(engine, settings.outage_seconds, _known_below, settings.ecg_prefix)
    missing = [key for key in known if key not in listed and not key.startswith(closed)]
    gone = [key for key in missing if _has_ecgs(engine, store, key)]
    for key in gone:
        transact(engine, settings.outage_seconds, _withdraw, key)
        log.warning("a manifest was deleted: its rows no longer hold", extra={"object_key": key})
    if kept := len(missing) - len(gone):
        log.warning("%d manifests are gone together with all ECGs they name: they are kept", kept)
    return len(gone)


def _known_etag(connection: Connection, key: str) -> str | None:
    return connection.scalar(select(tables.manifests.c.etag).filter_by(key=key))


def _known_below(connection: Connection, prefix: str) -> list[str]:
    key = tables.manifests.c.key
    return list(connection.scalars(select(key).where(key.startswith(prefix, autoescape=True))))


def _import(connection: Connection, store: ObjectStore, manifest: StoredObject, reader: _Reader) -> Taken:
    reader.start(load_opt_outs(connection))
    connection.execute(queries.statement("stage_manifest_rows"))
    rows = reader.rows(store)
    copy_rows(connection, "staged_manifest_rows", ManifestRow._fields, rows)
    connection.execute(queries.statement("remember_manifest_rows"))
    contradicted = _replace_rows(connection, manifest.key)
    write_faults(connection, SourceKind.MANIFEST, reader.faults, manifest.key)
    taken = Taken(reader.rows_seen - reader.refused - contradicted, reader.refused + contradicted)
    values = {"etag": manifest.etag, "rows_read": taken.rows, "rows_refused": taken.refused}
    remember = insert(tables.manifests).values(key=manifest.key, **values)
    connection.execute(remember.on_conflict_do_update(index_elements=["key"], set_=values))
    return taken


def _replace_rows(connection: Connection, key: str) -> int:
    """Replace the manifest's rows by the staged rows. Return the number that contradict other manifests."""
    connection.execute(queries.statement("manifest_01_lock"))
    values = {"manifest_key": key}
    for step in ROW_STEPS:
        connection.execute(queries.statement(step), values)
    update_records(connection)
    return int(connection.scalar(queries.statement("count_contradictions"), values) or 0)


def _withdraw(connection: Connection, key: str) -> None:
    connection.execute(queries.statement("stage_manifest_rows"))
    _replace_rows(connection, key)
    write_faults(connection, SourceKind.MANIFEST, (), key)
    connection.execute(delete(tables.manifests).where(tables.manifests.c.key == key))


def _note_faults(connection: Connection, reader: _Reader) -> None:
    write_faults(connection, SourceKind.MANIFEST, reader.faults, reader.key)


def _has_ecgs(engine: Engine, store: ObjectStore, manifest_key: str) -> bool:
    """True if one of a manifest's first ECGs is still in the store, or if it names no ECG."""
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
    """Parses the lines of one manifest into rows, and counts refused lines."""

    def __init__(self, key: str, zone: ZoneInfo, pseudonyms: Pseudonyms) -> None:
        self.key = key
        self._pseudonyms = pseudonyms
        self._folder = posixpath.dirname(key)
        self._zone = zone
        self.start()

    def start(self, opted_out: OptOuts = OptOuts()) -> None:  # noqa: B008 - it never changes
        """Reset the counts and faults, because a transaction may be retried."""
        self._opted_out = opted_out
        self.rows_seen = self.refused = 0
        self.faults: list[Fault] = []
        self.reasons: Counter[str] = Counter()

    def rows(self, store: ObjectStore) -> Iterator[ManifestRow]:
        """Yield the usable rows."""
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
        number, key = named_patient(cells["subject_id"]), self._record_key(cells["path"])
        patient = self._pseudonyms.of(number)
        if patient in self._opted_out:
            return ManifestRow(line, key, OPTED_OUT)
        time = self._time(cells.get("ecg_time", ""), line)
        local = self._zone.key if time is not None and time.tzinfo is self._zone else None
        study, site, indication = (
            plain_text(cells.get(name, "")) for name in ("study_id", "site", "indication")
        )
        return ManifestRow(
            line=line,
            record_key=key,
            patient_id=patient,
            number=number,
            study_id=study,
            acquired_at=time,
            local_timezone=local,
            site=site,
            indication=indication,
        )

    def _record_key(self, path: str) -> str:
        key = posixpath.normpath(posixpath.join(self._folder, path))
        if not path or not path.isprintable() or not is_portable(key):
            raise RowError(RowFault.PATH_UNUSABLE)
        return key

    def _time(self, text: str, line: int) -> datetime | None:
        """Parse the time in a cell. A row with an unusable time is imported without time, with a fault."""
        if not text:
            return None
        try:
            return named_time(text, self._zone)
        except RowError as error:
            self.complain(line, error.fault)
            return None
