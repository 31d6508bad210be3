"""Connections to the Postgres of ``database_url``, or to the embedded Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import psycopg
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from stence.database import migrate, queries
from stence.database.embedded import Server
from stence.database.server import check
from stence.database.times import load_any_time
from stence.database.words import keep_values_out, said
from stence.errors import ConfigurationError
from stence.settings import Settings

DRIVER = "postgresql+psycopg"
CONNECT_OPTIONS = {
    "application_name": "stence",
    "connect_timeout": 10,
    # A server that disappears without closing the connection is noticed within a minute.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}

TLS_OPTIONS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl")


@contextmanager
def connect(settings: Settings) -> Iterator[Engine]:
    """Open an engine on the migrated database; the embedded server runs during the context.

    Raises DatabaseUnavailableError if Postgres does not answer, ConfigurationError if the URL or the
    database is not usable.
    """
    if settings.database_url is not None:
        with _opened(_external_url(settings.database_url.get_secret_value())) as engine:
            yield engine
        return
    server = Server(settings.data_dir)
    with server.in_use(), _opened(_embedded_url(server), server) as engine:
        yield engine


def create_database(engine: Engine, name: str) -> str:
    """Create the database ``name`` on the engine's server if it is missing. Return its URL for asyncpg.

    Raises ConfigurationError if the engine's user may not create databases.
    """
    quoted = engine.dialect.identifier_preparer.quote_identifier(name)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not _has_database(connection, name):
            try:
                connection.exec_driver_sql(f"CREATE DATABASE {quoted}")
            except DBAPIError as error:
                if not _has_database(connection, name):  # otherwise another process created it first
                    raise ConfigurationError(f"Database {name} cannot be created: {said(error)}.") from error
    return _asyncpg_url(engine.url.set(database=name))


def _has_database(connection: Connection, name: str) -> bool:
    found = text("SELECT EXISTS (SELECT FROM pg_database WHERE datname = :name)")
    return bool(connection.scalar(found, {"name": name}))


def _asyncpg_url(url: URL) -> str:
    """Convert the URL for asyncpg, which takes libpq's TLS options only within a ``dsn``."""
    query = {name: value for name, value in url.query.items() if name in {"host", "port"}}
    if tls := {name: value for name, value in url.query.items() if name in TLS_OPTIONS}:
        query["dsn"] = f"postgresql://?{urlencode(tls)}"
    return url.set(drivername="postgresql+asyncpg", query=query).render_as_string(hide_password=False)


def _external_url(given: str) -> URL:
    """Parse the hospital's URL; move user and password to the URL fields that SQLAlchemy hides."""
    try:
        url = make_url(given.strip())
    except (ArgumentError, ValueError):  # their texts may hold the password
        url = None
    if url is None or given.count("@") > 1 or url.drivername not in {"postgresql", "postgres", DRIVER}:
        raise ConfigurationError(
            "STENCE_DATABASE_URL is not of the form postgresql://user:password@host:5432/database; "
            "characters such as @ : / in a password must be percent-encoded."
        ) from None
    query = dict(url.query)
    user, password = query.pop("user", url.username), query.pop("password", url.password)
    if not isinstance(user, str | None) or not isinstance(password, str | None):
        raise ConfigurationError("STENCE_DATABASE_URL names a user or a password twice.")
    return URL.create(DRIVER, user, password, url.host, url.port, url.database, query)


def _embedded_url(server: Server) -> URL:
    return URL.create(DRIVER, "postgres", database="postgres", query={"host": str(server.socket_folder)})


@contextmanager
def _opened(url: URL, server: Server | None = None) -> Iterator[Engine]:
    defaults = {name: value for name, value in CONNECT_OPTIONS.items() if name not in url.query}
    engine = create_engine(
        url,
        pool_pre_ping=True,
        hide_parameters=True,  # they hold patient identifiers
        isolation_level="READ COMMITTED",  # independent of the server's, database's or role's default
        connect_args=defaults | {"client_encoding": "utf8"},
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "handle_error", _keep_values_out)
    if server is not None:
        _revive_on_connect(engine, server)
    try:
        check(engine)
        migrate.upgrade(engine)
        yield engine
    finally:
        engine.dispose()


def _set_up(connection: psycopg.Connection[Any], record: object) -> None:
    """Set the session parameters by a statement, because PgBouncer refuses startup options."""
    load_any_time(connection)
    connection.autocommit = True
    connection.execute(queries.statement("set_session").text)
    connection.autocommit = False


def _keep_values_out(context: ExceptionContext) -> None:
    if isinstance(context.sqlalchemy_exception, DBAPIError):
        keep_values_out(context.sqlalchemy_exception)


def _revive_on_connect(engine: Engine, server: Server) -> None:
    @event.listens_for(engine, "do_connect")
    def connect_or_revive(dialect: Any, record: Any, arguments: Any, options: Any) -> Any:
        try:
            return dialect.connect(*arguments, **options)
        except psycopg.OperationalError:
            server.bring_back()
            return dialect.connect(*arguments, **options)
