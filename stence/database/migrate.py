"""Migrate the schema to this version: migrations by Alembic, then the views of ``sql/views``.

Views are never altered. If a migration is due or a view's file has changed, all views are dropped and created
again, in the order of their dependencies. ``schema_views`` holds the hash of each view's file.
"""

from __future__ import annotations

import hashlib
import re
from graphlib import TopologicalSorter

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, delete, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError

from stence.database.outage import repeated
from stence.database.tables import schema_views
from stence.database.words import said
from stence.errors import ConfigurationError
from stence.resources import sql_folder

LOCK = int.from_bytes(hashlib.sha256(b"stence schema").digest()[:8], signed=True)
"""Number of the advisory lock that lets one process at a time change the schema."""


def current_revision(engine: Engine) -> str | None:
    """Return the revision of the last applied migration."""
    with engine.connect() as connection:
        return _revision(connection)


def revisions() -> set[str]:
    """Return the revisions that this version of stence knows."""
    versions = (sql_folder() / "migrations" / "versions").glob("*.py")
    return {path.stem.partition("_")[0] for path in versions}


def upgrade(engine: Engine) -> None:
    """Apply missing migrations and views in one transaction; concurrent processes wait for the first.

    Raises ConfigurationError if the schema cannot be migrated to this version.
    """
    views = {path.stem: path.read_text(encoding="utf-8") for path in (sql_folder() / "views").glob("*.sql")}
    with engine.connect() as connection:
        if _is_current(connection, views):
            return
    try:
        repeated(lambda: _apply(engine, views))
    except CommandError as error:
        raise ConfigurationError(f"The database schema could not be brought up to date: {error}") from error
    except DBAPIError as error:  # its text quotes statements and rows
        raise ConfigurationError(
            f"The database schema could not be brought up to date: {said(error)}."
        ) from None


def _apply(engine: Engine, views: dict[str, str]) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        if not _is_current(connection, views):
            _drop_views(connection)
            command.upgrade(_alembic(connection), "head")
            _create_views(connection, views)


def _is_current(connection: Connection, views: dict[str, str]) -> bool:
    head = ScriptDirectory.from_config(_alembic(connection)).get_current_head()
    return _revision(connection) == head and _views(connection) == _hashes(views)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _views(connection: Connection) -> dict[str, str]:
    """Read the present views: name -> hash of the file that created the view."""
    if not inspect(connection).has_table(schema_views.name):
        return {}
    return {name: sha256 for name, sha256 in connection.execute(select(schema_views))}


def _hashes(views: dict[str, str]) -> dict[str, str]:
    return {name: hashlib.sha256(definition.encode()).hexdigest() for name, definition in views.items()}


def _drop_views(connection: Connection) -> None:
    if names := _views(connection):
        quote = connection.dialect.identifier_preparer.quote_identifier
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {', '.join(map(quote, names))}")
        connection.execute(delete(schema_views))


def _create_views(connection: Connection, views: dict[str, str]) -> None:
    for name in _in_order(views):
        connection.exec_driver_sql(views[name], execution_options={"no_parameters": True})
    if views:
        connection.execute(
            insert(schema_views),
            [{"name": name, "sha256": sha256} for name, sha256 in _hashes(views).items()],
        )


def _in_order(views: dict[str, str]) -> list[str]:
    """Sort the views' names so that each follows the views it reads from."""
    sources = {name: re.findall(r"\b(?:FROM|JOIN) (\w+)", definition) for name, definition in views.items()}
    graph = {name: [source for source in found if source in views] for name, found in sources.items()}
    return list(TopologicalSorter(graph).static_order())


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(sql_folder() / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
