"""Listing the object store: which ECG files are new, which have changed, and what manifests say of them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Engine

from stence.database import queries
from stence.database.copy import copy_rows
from stence.database.outage import patiently
from stence.ecg import is_companion, is_main_file
from stence.objects import ObjectStore, StoredObject
from stence.progress import Progress, silent
from stence.scoring import manifests
from stence.settings import Settings

log = logging.getLogger(__name__)

ROWS_TOGETHER = 5000
MANIFEST_NAME = "record_list.csv"


@dataclass(slots=True)
class IndexSummary:
    """What one listing found."""

    ecgs: int = 0
    new: int = 0
    changed: int = 0
    manifest_rows: int = 0
    manifest_rows_refused: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


class IndexedFile(NamedTuple):
    """A row of ``objects``: a main file, with version and size of all files that belong to it."""

    key: str
    record_key: str
    etag: str
    size_bytes: int


def index(engine: Engine, store: ObjectStore, settings: Settings, tell: Progress = silent) -> IndexSummary:
    """Record every new or changed ECG below ``settings.ecg_prefix``, then the manifests found there.

    The listing is worked off as it streams in: memory does not grow with the archive.
    Raises StoreUnavailableError or DatabaseUnavailableError after ``settings.outage_seconds``.
    """
    summary, found = IndexSummary(), list[StoredObject]()
    listing = _notice_manifests(store.list(settings.ecg_prefix), found)
    files = ecg_files(listing)
    while rows := list(islice(files, ROWS_TOGETHER)):
        new, changed = patiently(partial(record, engine, rows, "ecg"), settings.outage_seconds)
        summary.ecgs += len(rows)
        summary.new += new
        summary.changed += changed
        tell("index", summary.ecgs, note=f"{summary.new} new")
    for manifest in found:
        taken = manifests.take_up(engine, store, settings, manifest)
        summary.manifest_rows += taken.rows
        summary.manifest_rows_refused += taken.refused
    tell("index", summary.ecgs, summary.ecgs)
    log.info("index of %s: %s", store.url, summary.as_dict())
    return summary


def _notice_manifests(listing: Iterable[StoredObject], found: list[StoredObject]) -> Iterator[StoredObject]:
    for item in listing:
        if item.key.rpartition("/")[2] == MANIFEST_NAME:
            found.append(item)
        else:
            yield item


def record_key(key: str) -> str:
    """The key without its extension: what a record's files, and its row in a manifest, have in common."""
    folder, slash, name = key.rpartition("/")
    return folder + slash + (name.rpartition(".")[0] or name)


def ecg_files(listing: Iterable[StoredObject]) -> Iterator[IndexedFile]:
    """The ECGs among the objects of a sorted ``listing``.

    Files of one name but different extensions form a record. A signal file without a header beside it is
    listed by itself, so that it ends in quarantine and not in silence.
    """
    for stem, members in _records(listing):
        signals = [item for item in members if is_companion(item.key)]
        for main in [item for item in members if is_main_file(item.key)] or signals:
            yield _ecg_file(stem, main, [main, *(signal for signal in signals if signal is not main)])


def _records(listing: Iterable[StoredObject]) -> Iterator[tuple[str, list[StoredObject]]]:
    """Record keys and their files, with only those records in memory that later keys may still belong to.

    Those are the ones whose name, with a dot, begins the present key: ``a.b.hea`` comes between ``a.a`` and
    ``a.z``.
    """
    begun: list[tuple[str, list[StoredObject]]] = []
    for item in listing:
        while begun and not item.key.startswith(f"{begun[-1][0]}."):
            yield begun.pop()
        stem = record_key(item.key)
        if begun and begun[-1][0] == stem:
            begun[-1][1].append(item)
        else:
            begun.append((stem, [item]))
    yield from reversed(begun)


def _ecg_file(stem: str, main: StoredObject, files: list[StoredObject]) -> IndexedFile:
    # The version covers the signal files: a header that comes before its signal is tried again afterwards.
    version = "\n".join(f"{file.key}\t{file.etag}" for file in files)
    etag = main.etag if len(files) == 1 else hashlib.sha256(version.encode()).hexdigest()
    return IndexedFile(main.key, stem, etag, sum(file.size for file in files))


def record(engine: Engine, rows: list[IndexedFile], kind: str) -> tuple[int, int]:
    """Record listed files of one kind; how many are new, and how many have changed."""
    with engine.begin() as connection:
        connection.execute(queries.statement("stage_objects"))
        copy_rows(connection, "staged_objects", IndexedFile._fields, rows)
        counts = connection.execute(queries.statement("upsert_objects"), {"kind": kind}).one()
    return counts.new, counts.changed
