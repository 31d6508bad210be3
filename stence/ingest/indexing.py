"""Index the object store: record new and changed ECG files, and import their manifests.

Every object below the prefix is an ECG file, part of an ECG, or a manifest. All others are counted as
ignored, by extension or name.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine

from stence.database import queries
from stence.database.copy import copy_rows
from stence.database.outage import transact
from stence.discretion import plain
from stence.ecg import FileKind, file_kind
from stence.ecg.formats.kinds import is_hidden, is_table, suffix_of
from stence.ecg.formats.tables import Layout, layout_of
from stence.ingest import listing, manifests, timezone
from stence.ingest.gone import GoneFiles
from stence.ingest.grouping import IndexedFile, ecg_files
from stence.ingest.listing import Extent
from stence.ingest.merges import import_merges
from stence.objects import ObjectStore, StoredObject
from stence.preparation.layouts import read_layouts
from stence.progress import Progress, silent
from stence.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

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


@dataclass(slots=True)
class _Listing:
    """State of a streamed listing: manifests, ignored files and prefixes that cannot be listed."""

    layouts: Sequence[Layout]
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
            elif file_kind(item.key) is FileKind.OTHER and not self._is_ecg_table(item.key):
                suffix = suffix_of(name)
                self.ignored["hidden" if is_hidden(item.key) else suffix or name.upper()] += 1
            else:
                yield item

    def _is_ecg_table(self, key: str) -> bool:
        return is_table(key) and not is_hidden(key) and layout_of(key, self.layouts) is not None


def index(
    engine: Engine, store: ObjectStore, settings: Settings, progress: Progress = silent
) -> IndexSummary:
    """Record new and changed ECGs below ``settings.ecg_prefix``, then import the manifests found there.

    ``settings.listing`` says which ECGs are listed; a full listing follows every ``full_listing_hours``.
    Only a full listing finds files that are gone, and manifests that are. Merged patient numbers are imported
    first. The listing is processed as a stream, so memory does not grow with the archive. Raises
    StoreUnavailableError or DatabaseUnavailableError after ``settings.outage_seconds``.
    """
    timezone.move_times(engine, settings)
    import_merges(engine, store, settings)
    extent: Extent = transact(engine, settings.outage_seconds, listing.extent_due, settings)
    work, started = _Index(engine, store, settings, progress), datetime.now(UTC)
    work.follow_announcements()
    if extent == "full":
        work.list_all()
    elif extent == "days":
        work.list_days()
    transact(engine, settings.outage_seconds, listing.note, extent, settings, started, work.counts)
    progress("index", work.summary.ecgs, work.summary.ecgs)
    log.info("index (%s): %s", plain(extent), work.summary.as_dict())
    return work.summary


def ecg_objects(store: ObjectStore, settings: Settings, layouts: Sequence[Layout]) -> Iterator[StoredObject]:
    """Yield the files of ECGs below ``settings.ecg_prefix``, without manifests and ignored files."""
    found = _Listing(layouts)
    return found.ecgs(store.list(settings.ecg_prefix, found.skip))


class _Index:
    """An index in progress."""

    def __init__(self, engine: Engine, store: ObjectStore, settings: Settings, progress: Progress) -> None:
        self._engine, self._store, self._settings, self._progress = engine, store, settings, progress
        self._layouts = read_layouts(store, settings)
        self.summary = IndexSummary()

    @property
    def counts(self) -> dict[str, int]:
        """The counts of a row of ``store_listings``."""
        return {name: getattr(self.summary, name) for name in ("ecgs", "new", "changed")}

    def list_all(self) -> None:
        """List everything, and settle what is gone."""
        found = _Listing(self._layouts)
        gone = GoneFiles(self._engine, self._settings.ecg_prefix, self._settings.outage_seconds)
        ecgs = self._record(found, gone.watch(self._store.list(self._settings.ecg_prefix, found.skip)))
        self.summary.ignored = dict(found.ignored)
        self._transact(_note_ignored, self.summary.ignored)
        self._import(found.manifests)
        if ecgs:  # an empty listing is more likely an unmounted folder than an empty archive
            listed, closed = {manifest.key for manifest in found.manifests}, tuple(found.closed)
            about = (self._engine, self._store, self._settings)
            self.summary.gone = gone.settle(closed)
            self.summary.manifests_withdrawn = manifests.withdraw_missing(*about, listed, closed)

    def list_days(self) -> None:
        """List the last days, and look at the manifests in the folders above them."""
        found, prefixes = _Listing(self._layouts), listing.day_prefixes(self._settings)
        self._record(found, listing.of_days(self._store, prefixes, found.skip))
        self._import([*self._manifests_above(prefixes, found), *found.manifests])
        self.summary.ignored = dict(found.ignored)

    def follow_announcements(self) -> None:
        """Read the files that other systems announced, and remove the announcements."""
        while rows := self._transact(listing.announcements):
            found = _Listing(self._layouts)
            keys = {row.key for row in rows if row.key.startswith(self._settings.ecg_prefix)}
            ecgs = self._record(found, listing.of_keys(self._store, keys, found.skip))
            self._import([*self._manifests_above(keys, found), *found.manifests])
            self._transact(listing.forget, [row.id for row in rows])
            log.info("%d files were announced, of %d ECGs", len(rows), ecgs)

    def _record(self, found: _Listing, objects: Iterable[StoredObject]) -> int:
        """Record the ECGs among ``objects``, and return their number."""
        files, before = ecg_files(found.ecgs(objects), self._layouts), self.summary.ecgs
        while rows := list(islice(files, ROWS_TOGETHER)):
            new, changed = self._transact(record, rows, "ecg")
            self.summary.ecgs += len(rows)
            self.summary.new += new
            self.summary.changed += changed
            self._progress("index", self.summary.ecgs, note=f"{self.summary.new} new")
        return self.summary.ecgs - before

    def _import(self, found: Iterable[StoredObject]) -> None:
        for manifest in found:
            taken = manifests.import_manifests(self._engine, self._store, self._settings, manifest)
            self.summary.manifest_rows += taken.rows
            self.summary.manifest_rows_refused += taken.refused

    def _manifests_above(self, places: Iterable[str], found: _Listing) -> Iterator[StoredObject]:
        return listing.manifests_above(self._store, places, MANIFEST_NAME, self._settings, found.skip)

    def _transact(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return transact(self._engine, self._settings.outage_seconds, work, *args, **kwargs)


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
