"""Index the object store: record new and changed ECG files, and import their manifests.

Every object below the prefix is an ECG file, part of an ECG, or a manifest. All others are counted as
ignored, by extension or name.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from stence.database import queries
from stence.database.copy import copy_rows
from stence.database.outage import transact
from stence.ecg import FileKind, file_kind
from stence.ecg.formats import HEADER, is_hidden, suffix_of
from stence.ingest import manifests, timezone
from stence.ingest.gone import GoneFiles
from stence.ingest.merges import import_merges
from stence.objects import ObjectStore, StoredObject
from stence.progress import Progress, silent
from stence.settings import Settings

log = logging.getLogger(__name__)

ROWS_TOGETHER = 5000
MANIFEST_NAME = "record_list.csv"
CLOSED = "cannot be listed"
INDEX_STEPS = ("index_02_parts", "index_03_versions")


@dataclass(slots=True)
class IndexSummary:
    """Counts of one listing.

    ``gone`` counts quarantined files that were deleted from the store. ``ignored`` counts files that are not
    ECGs, by extension or name, and folders that cannot be listed.
    """

    ecgs: int = 0
    new: int = 0
    changed: int = 0
    manifest_rows: int = 0
    manifest_rows_refused: int = 0
    manifests_withdrawn: int = 0
    gone: int = 0
    ignored: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        counts = asdict(self)
        ignored: Mapping[str, int] = counts.pop("ignored")
        by_kind = {f"ignored {kind}": count for kind, count in sorted(ignored.items())}
        return {**counts, "ignored": sum(ignored.values()), **by_kind}


class IndexedFile(NamedTuple):
    """A row of ``objects``: a main file, with the version and total size of all files of its record."""

    key: str
    record_key: str
    listed_etag: str
    size_bytes: int


@dataclass(slots=True)
class _Listing:
    """State of a streamed listing: manifests, ignored files and prefixes that cannot be listed."""

    manifests: list[StoredObject] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    closed: list[str] = field(default_factory=list)
    """Prefixes that cannot be listed; their content is unknown."""

    def skip(self, prefix: str) -> None:
        self.closed.append(prefix)
        self.ignored[CLOSED] += 1

    def ecgs(self, objects: Iterable[StoredObject]) -> Iterator[StoredObject]:
        for item in objects:
            name = item.key.rpartition("/")[2]
            if name == MANIFEST_NAME and not is_hidden(item.key):
                self.manifests.append(item)
            elif file_kind(item.key) is FileKind.OTHER:
                suffix = suffix_of(name)
                self.ignored["hidden" if is_hidden(item.key) else suffix or name.upper()] += 1
            else:
                yield item


def index(
    engine: Engine, store: ObjectStore, settings: Settings, progress: Progress = silent
) -> IndexSummary:
    """Record every new or changed ECG below ``settings.ecg_prefix``, then import the manifests found there.

    Merged patient numbers are imported first. The listing is processed as a stream, so memory does not grow
    with the archive. Raises StoreUnavailableError or DatabaseUnavailableError after
    ``settings.outage_seconds``.
    """
    timezone.move_times(engine, settings)
    import_merges(engine, store, settings)
    summary, listing = IndexSummary(), _Listing()
    gone = GoneFiles(engine, settings.ecg_prefix, settings.outage_seconds)
    files = ecg_files(listing.ecgs(gone.watch(store.list(settings.ecg_prefix, listing.skip))))
    while rows := list(islice(files, ROWS_TOGETHER)):
        new, changed = transact(engine, settings.outage_seconds, record, rows, "ecg")
        summary.ecgs += len(rows)
        summary.new += new
        summary.changed += changed
        progress("index", summary.ecgs, note=f"{summary.new} new")
    summary.ignored = dict(listing.ignored)
    transact(engine, settings.outage_seconds, _note_ignored, summary.ignored)
    for manifest in listing.manifests:
        taken = manifests.import_manifests(engine, store, settings, manifest)
        summary.manifest_rows += taken.rows
        summary.manifest_rows_refused += taken.refused
    if summary.ecgs:  # an empty listing is more likely an unmounted folder than an archive without ECGs
        listed = {manifest.key for manifest in listing.manifests}
        closed = tuple(listing.closed)
        summary.gone = gone.settle(closed)
        summary.manifests_withdrawn = manifests.withdraw_missing(engine, store, settings, listed, closed)
    progress("index", summary.ecgs, summary.ecgs)
    log.info("index: %s", summary.as_dict())
    return summary


def record_key(key: str) -> str:
    """Return the key without its extension, shared by a record's files and its manifest row."""
    folder, slash, name = key.rpartition("/")
    return folder + slash + (name.rpartition(".")[0] or name)


def ecg_files(listing: Iterable[StoredObject]) -> Iterator[IndexedFile]:
    """Group the objects of a sorted ``listing`` without files of kind OTHER into ECGs.

    A header and the signal and annotation files of the same name form one record. Other files without a
    header are listed alone, so that they get a quarantine entry and are not ignored.
    """
    for stem, members in _records(listing):
        headers = [item for item in members if item.key.lower().endswith(HEADER)]
        signals = [item for item in members if file_kind(item.key) is FileKind.SIGNAL]
        for header in headers:
            yield _ecg_file(stem, header, [header, *signals])
        for item in members:
            if item not in headers and (file_kind(item.key) is FileKind.MAIN or not headers):
                yield _ecg_file(stem, item, [item])


def _records(listing: Iterable[StoredObject]) -> Iterator[tuple[str, list[StoredObject]]]:
    """Yield record keys and their files. Only records that may still get files are in memory.

    These are the records whose key plus a dot is a prefix of the current key: ``a.b.hea`` sorts between
    ``a.a`` and ``a.z``.
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
    # The version covers the signal files: a header that arrives before its signal file is read again later.
    version = "\n".join(f"{file.key}\t{file.etag}" for file in files)
    etag = main.etag if len(files) == 1 else hashlib.sha256(version.encode()).hexdigest()
    return IndexedFile(main.key, stem, etag, sum(file.size for file in files))


def record(connection: Connection, rows: list[IndexedFile], kind: str) -> tuple[int, int]:
    """Record listed files of one kind. Return the numbers of new and of changed files."""
    connection.execute(queries.statement("stage_objects"))
    copy_rows(connection, "staged_objects", IndexedFile._fields, rows)
    counts = connection.execute(queries.statement("index_01_objects"), {"kind": kind}).one()
    for step in INDEX_STEPS:
        connection.execute(queries.statement(step))
    return counts.new, counts.changed


def _note_ignored(connection: Connection, ignored: Mapping[str, int]) -> None:
    kinds, files = list(ignored), list(ignored.values())
    connection.execute(queries.statement("note_ignored"), {"kinds": kinds, "files": files})
