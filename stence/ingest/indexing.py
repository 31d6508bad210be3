"""Listing the object store: which ECG files are new, which have changed, and what manifests say of them.

Every object below the prefix is an ECG, part of one, a manifest, or counted as none by what its name says.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Engine

from stence.database import queries
from stence.database.copy import copy_rows
from stence.database.outage import patiently
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
    """What one listing found.

    ``gone`` counts files in quarantine that are in the store no more, ``ignored`` files that are no ECGs, by
    extension or name, and folders that cannot be listed.
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
        """The counts by name."""
        counts = asdict(self)
        ignored: Mapping[str, int] = counts.pop("ignored")
        by_kind = {f"ignored {kind}": count for kind, count in sorted(ignored.items())}
        return {**counts, "ignored": sum(ignored.values()), **by_kind}


class IndexedFile(NamedTuple):
    """A row of ``objects``: a main file, with version and size of all files of its name that belong to it."""

    key: str
    record_key: str
    listed_etag: str
    size_bytes: int


@dataclass(slots=True)
class _Listing:
    """A listing on its way through; what is no ECG stays behind."""

    manifests: list[StoredObject] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    closed: list[str] = field(default_factory=list)
    """Prefixes that cannot be listed: nobody knows what is below."""

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
    """Record every new or changed ECG below ``settings.ecg_prefix``, then the manifests found there.

    Merged patient numbers are taken up first. The listing is worked off as it streams in: memory does not
    grow with the archive. Raises StoreUnavailableError or DatabaseUnavailableError after
    ``settings.outage_seconds``.
    """
    timezone.move_times(engine, settings)
    import_merges(engine, store, settings)
    summary, listing = IndexSummary(), _Listing()
    gone = GoneFiles(engine, settings.ecg_prefix, settings.outage_seconds)
    files = ecg_files(listing.ecgs(gone.watch(store.list(settings.ecg_prefix, listing.skip))))
    while rows := list(islice(files, ROWS_TOGETHER)):
        new, changed = patiently(partial(record, engine, rows, "ecg"), settings.outage_seconds)
        summary.ecgs += len(rows)
        summary.new += new
        summary.changed += changed
        progress("index", summary.ecgs, note=f"{summary.new} new")
    summary.ignored = dict(listing.ignored)
    patiently(partial(_note_ignored, engine, summary.ignored), settings.outage_seconds)
    for manifest in listing.manifests:
        taken = manifests.import_manifests(engine, store, settings, manifest)
        summary.manifest_rows += taken.rows
        summary.manifest_rows_refused += taken.refused
    if summary.ecgs:  # otherwise more likely a folder that is not mounted than an archive without ECGs
        listed = {manifest.key for manifest in listing.manifests}
        closed = tuple(listing.closed)
        summary.gone = gone.settle(closed)
        summary.manifests_withdrawn = manifests.withdraw_missing(engine, store, settings, listed, closed)
    progress("index", summary.ecgs, summary.ecgs)
    log.info("index: %s", summary.as_dict())
    return summary


def record_key(key: str) -> str:
    """The key without its extension: what a record's files, and its row in a manifest, have in common."""
    folder, slash, name = key.rpartition("/")
    return folder + slash + (name.rpartition(".")[0] or name)


def ecg_files(listing: Iterable[StoredObject]) -> Iterator[IndexedFile]:
    """The ECGs among the objects of a sorted ``listing``, which holds no file of the kind OTHER.

    A header and the signal files of its name form a record; annotations of it are part of it. Whatever else
    has no header beside it is listed by itself, so that it ends in quarantine and not in silence.
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
        counts = connection.execute(queries.statement("index_01_objects"), {"kind": kind}).one()
        for step in INDEX_STEPS:
            connection.execute(queries.statement(step))
    return counts.new, counts.changed


def _note_ignored(engine: Engine, ignored: Mapping[str, int]) -> None:
    with engine.begin() as connection:
        kinds, files = list(ignored), list(ignored.values())
        connection.execute(queries.statement("note_ignored"), {"kinds": kinds, "files": files})
