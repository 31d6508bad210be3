"""Restore a backup into an empty database, and its objects under their keys into a store."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from stence.archive import Archive, open_archive
from stence.backup import programs
from stence.backup.contents import DATABASE, DIRECTORY_BYTES, KIND, STORE
from stence.backup.copies import take_over_copies
from stence.database import migrate, queries
from stence.database.words import said
from stence.errors import RestoreError
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.settings import Settings


class Restored(NamedTuple):
    """A finished restore: objects put into the store, and files of ECGs recognised as copies."""

    objects: int
    copies: int


def restore(
    engine: Engine, store: ObjectStore, settings: Settings, path: Path, progress: Progress = silent
) -> Restored:
    """Restore a backup into the empty database of ``engine`` and into the store, and migrate it.

    The whole archive is verified first. The database comes last, in one transaction: a restore that fails can
    be repeated. Objects of the backup replace those of the same key.
    Raises ArchiveError for a damaged archive, RestoreError if it does not fit here, StoreUnavailableError.
    """
    with open_archive(path, KIND, DIRECTORY_BYTES) as archive:
        _check_revision(archive, path)
        _check_empty(engine)
        archive.verify(progress)
        objects = _put_objects(archive, store, progress)
        _create_roles(engine, archive)
        _give_rights(engine)
        programs.restore(engine.url, archive.pieces(DATABASE))
    migrate.upgrade(engine, settings)
    return Restored(objects, take_over_copies(engine, store, settings, progress))


def _check_revision(archive: Archive, path: Path) -> None:
    about = archive.manifest.about
    if about.get("revision") not in migrate.revisions():
        raise RestoreError(
            f"{path} holds schema {about.get('revision')} of stence {archive.manifest.stence}, which this "
            "version does not know: install that version here, or a later one."
        )


def _check_empty(engine: Engine) -> None:
    with engine.connect() as connection:
        found = connection.scalar(queries.statement("restore_relations"))
    if found:
        raise RestoreError(
            f"The database is not empty, it has {found} tables and views: a restore would mix two hospitals. "
            "Set STENCE_DATA_DIR to a new folder, or STENCE_DATABASE_URL to a new, empty database."
        )


def _put_objects(archive: Archive, store: ObjectStore, progress: Progress) -> int:
    names = [name for name in archive.manifest.members if name.startswith(STORE)]
    for count, name in enumerate(names, 1):
        store.put(name.removeprefix(STORE), archive.read(name))
        progress("store", count, len(names))
    return len(names)


def _create_roles(engine: Engine, archive: Archive) -> None:
    """Create the missing roles that own or may read something; they are the server's, and in no dump."""
    quote = engine.dialect.identifier_preparer.quote_identifier
    with engine.begin() as connection:
        present = set(connection.scalars(queries.statement("restore_roles")))
        for role in archive.manifest.about.get("roles", ()):
            if role not in present:
                _execute(connection, f"CREATE ROLE {quote(role)} NOLOGIN ROLE CURRENT_USER")


def _give_rights(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(queries.statement("restore_rights"))


def _execute(connection: Connection, command: str) -> None:
    try:
        connection.exec_driver_sql(command, execution_options={"no_parameters": True})
    except DBAPIError as error:
        raise RestoreError(
            f"The backup needs a role that cannot be created here ({said(error)}). Have a superuser run "
            f"{command}, then restore again."
        ) from None
