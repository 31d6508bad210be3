"""Mark of a store and a database for practice: they contain no real ECGs, reports or models."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Engine, exists, select
from sqlalchemy.dialects.postgresql import insert

from stence.database.tables import installation, models, objects
from stence.errors import ConfigurationError, ObjectNotFoundError
from stence.objects import ObjectStore
from stence.settings import Settings

MARK = "practice.txt"
NAME = "practice"
TEXT = b"What lies here was simulated by stence. Whatever else is put here may be overwritten.\n"


def claim_for_practice(engine: Engine, store: ObjectStore, settings: Settings) -> None:
    """Mark an empty store and an empty database for practice. Existing marks are accepted.

    Raises ConfigurationError if either is not empty and not marked. Nothing is changed then.
    """
    marked_store, marked_database = is_marked(store), _is_marked_database(engine)
    if not marked_store and (found := _first_object(store, settings)):
        raise ConfigurationError(
            f"{store.url} holds objects below {found} and is not marked for practice: simulated files would "
            f"overwrite them. Set STENCE_STORE_URL to an empty store, or STENCE_DATA_DIR to a new folder. "
            f"If all of it was simulated, put an object {MARK} there."
        )
    if not marked_database and _is_used(engine):
        raise ConfigurationError(
            "The database holds ECGs or models and is not marked for practice: simulated patients would mix "
            "with them. Set STENCE_DATABASE_URL to an empty database, or STENCE_DATA_DIR to a new folder."
        )
    if not marked_store:
        store.put(MARK, TEXT)
    if not marked_database:
        with engine.begin() as connection:
            connection.execute(insert(installation).values(name=NAME, value="yes").on_conflict_do_nothing())


def is_marked(store: ObjectStore) -> bool:
    """Return True if the store is marked for practice: all its objects are simulated."""
    try:
        store.head(MARK)
    except ObjectNotFoundError:
        return False
    return True


def _is_marked_database(engine: Engine) -> bool:
    with engine.connect() as connection:
        return bool(connection.scalar(select(exists().where(installation.c.name == NAME))))


def _first_object(store: ObjectStore, settings: Settings) -> str | None:
    """Return the first non-empty prefix of a hospital's own files, or None."""
    prefixes: Iterable[str] = (
        settings.ecg_prefix,
        settings.report_prefix,
        settings.angiogram_prefix,
        settings.patient_prefix,
        settings.model_prefix,
    )
    return next((prefix for prefix in prefixes if next(iter(store.list(prefix)), None)), None)


def _is_used(engine: Engine) -> bool:
    with engine.connect() as connection:
        return bool(
            connection.scalar(select(exists(select(objects.c.id)) | exists(select(models.c.version))))
        )
