"""Manifests: ``record_list.csv`` in the layout of MIMIC-IV-ECG, which names patient and time of ECG files.

Two columns more may be there: ``site`` and ``indication``, where and why it was recorded.
"""

from __future__ import annotations

import codecs
import csv
import logging
import posixpath
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, select
from sqlalchemy.dialects.postgresql import insert

from stence.database import queries, tables
from stence.database.copy import copy_rows
from stence.database.outage import patiently
from stence.domain.text import plain_text
from stence.objects import ObjectStore, StoredObject
from stence.settings import Settings

log = logging.getLogger(__name__)

COMPLAINTS_LOGGED = 20


class ManifestRow(NamedTuple):
    """A usable row of a manifest; ``line`` counts from 1, the header's."""

    line: int
    record_key: str
    manifest_key: str
    patient_id: str
    study_id: str | None
    acquired_at: datetime | None
    site: str | None
    indication: str | None


class Taken(NamedTuple):
    """How many rows of a manifest were taken up, and how many could not be used."""

    rows: int = 0
    refused: int = 0


def take_up(engine: Engine, store: ObjectStore, settings: Settings, manifest: StoredObject) -> Taken:
    """Read a manifest, unless it was read in this version; ECGs of which it changes anything become pending.

    Rows without ``subject_id`` or ``path`` are refused, and so are all rows of a path that the manifest gives
    to several patients. The log names them by line number. Rows stream into the database: memory is bounded.
    """
    with engine.connect() as connection:
        if connection.scalar(select(tables.manifests.c.etag).filter_by(key=manifest.key)) == manifest.etag:
            return Taken()
    taken = patiently(lambda: _take_up(engine, store, settings, manifest), settings.outage_seconds)
    log.info("manifest %s: %d rows taken up, %d refused", manifest.key, *taken)
    return taken


def _take_up(engine: Engine, store: ObjectStore, settings: Settings, manifest: StoredObject) -> Taken:
    reader = _Reader(manifest.key, ZoneInfo(settings.timezone))
    with engine.begin() as connection:
        connection.execute(queries.statement("stage_manifest_records"))
        rows = reader.rows(_lines(store, manifest.key))
        copy_rows(connection, "staged_manifest_records", ManifestRow._fields, rows)
        for line in connection.scalars(queries.statement("refuse_contradictions")):
            reader.refuse(line, "the manifest gives this path to several patients")
        connection.execute(queries.statement("upsert_manifest_records"))
        taken = Taken(reader.rows_seen - reader.refused, reader.refused)
        values = {"etag": manifest.etag, "rows_read": taken.rows, "rows_refused": taken.refused}
        remember = insert(tables.manifests).values(key=manifest.key, **values)
        connection.execute(remember.on_conflict_do_update(index_elements=["key"], set_=values))
    return taken


def _lines(store: ObjectStore, key: str) -> Iterator[str]:
    rest = ""
    for text in codecs.iterdecode(store.stream(key), "utf-8-sig", errors="replace"):
        *lines, rest = (rest + text).split("\n")
        yield from (line + "\n" for line in lines)
    yield rest


class _Reader:
    """Turns the lines of one manifest into rows, and counts and logs what must be refused."""

    def __init__(self, key: str, zone: ZoneInfo) -> None:
        self._key = key
        self._folder = posixpath.dirname(key)
        self._zone = zone
        self._complaints = 0
        self.rows_seen = 0
        self.refused = 0

    def rows(self, lines: Iterator[str]) -> Iterator[ManifestRow]:
        """The usable rows."""
        table = csv.DictReader(lines)
        if missing := {"subject_id", "path"} - set(table.fieldnames or ()):
            self._complain(1, f"the column {' and '.join(sorted(missing))} is missing: no row can be used")
        for row in table:
            self.rows_seen += 1
            path, patient, study = (_text(row, name) for name in ("path", "subject_id", "study_id"))
            if not path or not patient:
                self.refuse(table.line_num, "subject_id or path is empty")
                continue
            key = posixpath.normpath(posixpath.join(self._folder, path))
            time = self._time(_text(row, "ecg_time"), table.line_num)
            about = (plain_text(row.get(name) or "") for name in ("site", "indication"))
            yield ManifestRow(table.line_num, key, self._key, patient, study, time, *about)

    def refuse(self, line: int, why: str) -> None:
        """Count a row as refused."""
        self.refused += 1
        self._complain(line, why)

    def _time(self, written: str | None, line: int) -> datetime | None:
        if not written:
            return None
        try:
            time = datetime.fromisoformat(written)
        except ValueError:
            self._complain(line, "ecg_time is not an ISO 8601 time; the row is used without it")
            return None
        return time if time.tzinfo else time.replace(tzinfo=self._zone)

    def _complain(self, line: int, why: str) -> None:
        self._complaints += 1
        if self._complaints <= COMPLAINTS_LOGGED:
            log.warning("manifest %s, line %d: %s", self._key, line, why)


def _text(row: dict[str, str | None], name: str) -> str | None:
    """A cell without blanks around it; None where it is empty or absent. Postgres takes no NUL."""
    return (row.get(name) or "").replace("\x00", "").strip() or None
