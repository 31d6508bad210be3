"""Migrate the schema to this version: Alembic, then ``sql/functions``, ``sql/views`` and ``sql/grants``.

If a migration is due or a file has changed, all views are dropped and created again, in the order of their
dependencies. Functions, with their triggers, are replaced where they are; a migration drops those that go.
Then the rights of all roles are granted again. ``schema_functions``, ``schema_views`` and ``schema_grants``
hold the hash of each file. All this runs as the role that owns the schema.
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
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, Table, delete, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError

from stence.database.identity import settle_key
from stence.database.outage import repeated
from stence.database.roles import DENIED
from stence.database.tables import schema_functions, schema_grants, schema_views
from stence.database.words import said, state_of
from stence.errors import ConfigurationError
from stence.resources import sql_folder
from stence.settings import Settings

LOCK = int.from_bytes(hashlib.sha256(b"stence schema").digest()[:8], signed=True)
"""Number of the advisory lock that lets one process at a time change the schema."""
ACT_AS_OWNER = text(
    "SELECT set_config('role', pg_get_userbyid(relowner), true) "
    "FROM pg_class WHERE oid = to_regclass('alembic_version')"
)
"""Act as the owner of the schema, if there is one: the login, before migration 0023."""


class Files(NamedTuple):
    """Contents of the files that are applied after the migrations, by name."""

    functions: dict[str, str]
    views: dict[str, str]
    grants: dict[str, str]


def current_revision(engine: Engine) -> str | None:
    """Return the revision of the last applied migration."""
    with engine.connect() as connection:
        return _revision(connection)


def revisions() -> set[str]:
    """Return the revisions that this version of stence knows; the largest is the newest.

    By the names of their files: each process asks for them, and Alembic would compile every migration.
    """
    versions = (sql_folder() / "migrations" / "versions").glob("*.py")
    return {path.stem.partition("_")[0] for path in versions}


def upgrade(engine: Engine, settings: Settings) -> None:
    """Apply missing migrations, views and grants in one transaction; concurrent processes wait for the first.

    The settings give the key of pseudonyms to the migration that needs it. Raises ConfigurationError if the
    schema cannot be migrated to this version.
    """
    files = Files(_read("functions"), _read("views"), _read("grants"))
    try:
        with engine.connect() as connection:
            if _is_current(connection, files):
                return
        repeated(lambda: _apply(engine, files, settings))
    except CommandError as error:
        raise ConfigurationError(f"The database schema could not be brought up to date: {error}") from error
    except DBAPIError as error:  # its text quotes statements and rows
        denied = state_of(error) == DENIED
        raise ConfigurationError(
            f"The database schema could not be brought up to date: {said(error)}. "
            + (_who_may(engine) if denied else "")
        ) from None


def _who_may(engine: Engine) -> str:
    return (
        f"The login {engine.url.username} may not do this: run stence migrate with STENCE_OWNER_URL. "
        f"A superuser gives its login the rights once: psql -v login=LOGIN -f {sql_folder() / 'roles.sql'}"
    )


def _apply(engine: Engine, files: Files, settings: Settings) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        if not _is_current(connection, files):
            connection.execute(ACT_AS_OWNER)
            _drop_views(connection)
            config = _alembic(connection)
            config.attributes["pseudonyms"] = partial(settle_key, settings=settings)
            command.upgrade(config, "head")
            _replace_functions(connection, files.functions)
            _create_views(connection, files.views)
            _grant(connection, files.grants)


def _is_current(connection: Connection, files: Files) -> bool:
    return (
        _revision(connection) == max(revisions())
        and _applied(connection, schema_functions) == _hashes(files.functions)
        and _applied(connection, schema_views) == _hashes(files.views)
        and _applied(connection, schema_grants) == _hashes(files.grants)
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


def _grant(connection: Connection, grants: dict[str, str]) -> None:
    """Grant the rights of all roles; each file begins by revoking what its role had."""
    for name in sorted(grants):
        connection.exec_driver_sql(grants[name], execution_options={"no_parameters": True})
    if grants:
        connection.execute(delete(schema_grants))
        _note(connection, schema_grants, grants)


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
