"""Migrate the schema to this version: migrations by Alembic, then ``sql/functions``, then ``sql/views``.

If a migration is due or a file has changed, all views are dropped and created again, in the order of their
dependencies. Functions, with their triggers, are replaced where they are, so that grants on them stay; a
migration drops those that go. ``schema_views`` and ``schema_functions`` hold the hash of each file.
"""

from __future__ import annotations

import hashlib
import re
from functools import partial
from graphlib import TopologicalSorter
from typing import NamedTuple

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, Table, delete, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError

from stence.database.identity import settle_key
from stence.database.outage import repeated
from stence.database.tables import schema_functions, schema_views
from stence.database.words import said
from stence.errors import ConfigurationError
from stence.resources import sql_folder
from stence.settings import Settings

LOCK = int.from_bytes(hashlib.sha256(b"stence schema").digest()[:8], signed=True)
"""Number of the advisory lock that lets one process at a time change the schema."""


class Files(NamedTuple):
    """Contents of the files that are applied after the migrations, by name."""

    functions: dict[str, str]
    views: dict[str, str]


def current_revision(engine: Engine) -> str | None:
    """Return the revision of the last applied migration."""
    with engine.connect() as connection:
        return _revision(connection)


def upgrade(engine: Engine, settings: Settings) -> None:
    """Apply missing migrations and views in one transaction; concurrent processes wait for the first.

    The settings give the key of pseudonyms to the migration that needs it. Raises ConfigurationError if the
    schema cannot be migrated to this version.
    """
    files = Files(_read("functions"), _read("views"))
    with engine.connect() as connection:
        if _is_current(connection, files):
            return
    try:
        repeated(lambda: _apply(engine, files, settings))
    except CommandError as error:
        raise ConfigurationError(f"The database schema could not be brought up to date: {error}") from error
    except DBAPIError as error:  # its text quotes statements and rows
        raise ConfigurationError(
            f"The database schema could not be brought up to date: {said(error)}."
        ) from None


def _apply(engine: Engine, files: Files, settings: Settings) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        if not _is_current(connection, files):
            _drop_views(connection)
            config = _alembic(connection)
            config.attributes["pseudonyms"] = partial(settle_key, settings=settings)
            command.upgrade(config, "head")
            _replace_functions(connection, files.functions)
            _create_views(connection, files.views)


def _is_current(connection: Connection, files: Files) -> bool:
    head = ScriptDirectory.from_config(_alembic(connection)).get_current_head()
    return (
        _revision(connection) == head
        and _applied(connection, schema_functions) == _hashes(files.functions)
        and _applied(connection, schema_views) == _hashes(files.views)
    )


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _read(folder: str) -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in (sql_folder() / folder).glob("*.sql")}


def _applied(connection: Connection, table: Table) -> dict[str, str]:
    """Read which files of a kind were applied: name -> hash."""
    if not inspect(connection).has_table(table.name):
        return {}
    return {name: sha256 for name, sha256 in connection.execute(select(table))}


def _hashes(files: dict[str, str]) -> dict[str, str]:
    return {name: hashlib.sha256(content.encode()).hexdigest() for name, content in files.items()}


def _drop_views(connection: Connection) -> None:
    if names := _applied(connection, schema_views):
        quote = connection.dialect.identifier_preparer.quote_identifier
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {', '.join(map(quote, names))}")
        connection.execute(delete(schema_views))


def _replace_functions(connection: Connection, functions: dict[str, str]) -> None:
    """Create or replace them, in the order of their names."""
    for name in sorted(functions):
        connection.exec_driver_sql(functions[name], execution_options={"no_parameters": True})
    if _applied(connection, schema_functions):
        connection.execute(delete(schema_functions))
    _note(connection, schema_functions, functions)


def _create_views(connection: Connection, views: dict[str, str]) -> None:
    for name in _in_order(views):
        connection.exec_driver_sql(views[name], execution_options={"no_parameters": True})
    _note(connection, schema_views, views)


def _note(connection: Connection, table: Table, files: dict[str, str]) -> None:
    if rows := [{"name": name, "sha256": sha256} for name, sha256 in _hashes(files).items()]:
        connection.execute(insert(table), rows)


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
