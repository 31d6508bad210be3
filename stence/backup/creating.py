"""Write a backup: Postgres first, then the store, so that a model in the database has its files in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine

from stence.archive import Writer, write_archive
from stence.backup import programs
from stence.backup.contents import DATABASE, KIND, STORE, own_prefixes
from stence.database import audit, migrate, queries
from stence.errors import ObjectNotFoundError
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.settings import Settings


class BackedUp(NamedTuple):
    """A finished backup: the file, its size in bytes, and the number of objects of the store in it."""

    path: Path
    size: int
    objects: int


def back_up(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    place: Path,
    *,
    features: bool = False,
    progress: Progress = silent,
) -> BackedUp:
    """Write the database and the store's own part into one archive, while stence runs.

    ``place`` is a new file, or a folder in which the file gets the time as its name. ``features`` of
    angiograms are left out by default: they are computed again. Memory does not grow with the content.
    Raises ArchiveError, DatabaseUnavailableError, StoreUnavailableError.
    """
    with engine.begin() as connection:  # before the dump, which holds it then
        audit.record(connection, "backup.started", "database", by="stence", why="stence backup")
    path = place / f"stence-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip" if place.is_dir() else place
    with write_archive(path, KIND, _about(engine)) as archive:
        archive.add(DATABASE, _counted(programs.dump(engine.url), progress))
        objects = _add_objects(archive, store, own_prefixes(settings, features=features), progress)
    return BackedUp(path, path.stat().st_size, objects)


def _about(engine: Engine) -> dict[str, object]:
    with engine.connect() as connection:
        roles = list(connection.scalars(queries.statement("backup_roles")))
    return {"revision": migrate.current_revision(engine), "roles": roles}


def _counted(pieces: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        yield piece
        size += len(piece)
        progress("database", size // 2**20, note="MiB")


def _add_objects(archive: Writer, store: ObjectStore, prefixes: list[str], progress: Progress) -> int:
    """Add the objects below the prefixes. One that is deleted meanwhile was not needed."""
    count = 0
    for item in (item for prefix in prefixes for item in store.list(prefix)):
        pieces = store.stream(item.key)
        try:
            first = next(pieces, b"")
        except ObjectNotFoundError:
            continue
        archive.add(STORE + item.key, chain([first], pieces))
        count += 1
        progress("store", count)
    return count
