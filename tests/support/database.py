"""Fixtures: one embedded Postgres for all tests, in it a database for each, copied from a migrated one."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pydantic import SecretStr
from sqlalchemy import URL, Connection, Engine, delete, make_url, text

from stence import database
from stence.database import tables
from stence.objects import ObjectStore, open_store
from stence.settings import Settings
from support.tampering import allow_changes, tampering  # noqa: F401 - tests import both from here

NUMBERS = itertools.count(1)
MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux keeps it
MEMORY_BYTES = 4 << 30
"""Room in memory for the files of a server; without it they lie in the usual temporary folder."""


@contextmanager
def server_folder() -> Iterator[Path]:
    """A data folder for an embedded server.

    Outside pytest's own temporary folder: where that is root's, every pytest that starts closes it to other
    accounts, and the server runs under one. In memory where there is room: a database is a copy of hundreds
    of files.
    """
    with TemporaryDirectory(prefix="stence-test-", dir=_roomy()) as folder:
        yield Path(folder)


def _roomy() -> Path | None:
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Engine]:
    """An engine on the server's own database, for creating others; ``template`` is migrated."""
    with server_folder() as folder, database.connect_as_owner(Settings(data_dir=folder)) as engine:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # Many small databases; none of them has to survive a power cut.
            connection.execute(text("ALTER SYSTEM SET fsync = off"))
            connection.execute(text("SELECT pg_reload_conf()"))
            connection.execute(text("CREATE DATABASE template"))
        with database.connect(Settings(database_url=SecretStr(url_of(engine, "template")))):
            pass
        yield engine


@pytest.fixture(scope="session")
def template() -> str:
    """The database that tests copy; a file whose tests share much makes it once, and names it here."""
    return "template"


@pytest.fixture
def settings(postgres: Engine, template: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings with a migrated database, empty by default, and a data folder of the test's own."""
    with copied(postgres, template) as url:
        yield Settings(data_dir=tmp_path, database_url=url, device="cpu")


@contextmanager
def copied(postgres: Engine, template: str) -> Iterator[SecretStr]:
    """The URL of a copy of the database ``template``, to which nobody may be connected, for the context."""
    name = f"test_{next(NUMBERS)}"
    with postgres.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
        connection.execute(
            text(f"GRANT CREATE ON DATABASE {name} TO stence_owner")
        )  # a copy has no grants of the database
    yield SecretStr(url_of(postgres, name))
    with postgres.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def filled(postgres: Engine, fill: Callable[[Engine], object]) -> Iterator[str]:
    """The name of a database into which ``fill`` has written, to be copied."""
    with copied(postgres, "template") as url:
        with database.connect(Settings(database_url=url)) as engine:
            fill(engine)
        yield str(make_url(url.get_secret_value()).database)


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """An engine on the test's own database, with the rights of the flows."""
    with database.connect(settings) as engine:
        yield engine


@pytest.fixture
def owner_engine(settings: Settings) -> Iterator[Engine]:
    """An engine on the test's own database that may do everything."""
    with database.connect_as_owner(settings) as engine:
        yield engine


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    """The store of these settings, empty."""
    return open_store(settings.resolved_store_url, settings)


def url_of(engine: Engine, name: str) -> str:
    """The URL of another database on the engine's server, as a person would write it."""
    url: URL = make_url(engine.url).set(drivername="postgresql", database=name)
    return url.render_as_string(hide_password=False)


def forget_ecgs(connection: Connection, *, with_files: bool = False) -> None:
    """As if no ECG had been scored yet; ``with_files``: nor its file seen. No TRUNCATE: that would take
    reviews along, which nobody may remove."""
    allow_changes(connection)
    results = (tables.worklist, tables.worklist_marks, tables.flags, tables.scores, tables.quarantine)
    ecgs = (tables.ecg_measurements, tables.ecg_embeddings, tables.ecgs)
    files = (tables.record_parts, tables.objects) if with_files else ()
    for table in (*results, *ecgs, *files):
        connection.execute(delete(table))
