"""Connections to the Postgres of ``database_url``, or to the embedded Postgres."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import psycopg
from pydantic import SecretStr
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from stence.database import migrate, queries
from stence.database.embedded import Server
from stence.database.identity import check_key
from stence.database.roles import check_role, is_writer
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

    Sessions act as ``stence_writer`` if the login may, else with the login's own rights. A schema of an
    earlier version is migrated if the login may. Raises DatabaseUnavailableError if Postgres does not answer,
    ConfigurationError if the URL, the database or the login is not usable, or if this host, where it is to
    write, has another key of pseudonyms than the database.
    """
    with _place(settings.database_url, settings, "STENCE_DATABASE_URL") as (url, server):
        with _opened(url, server) as administrator:
            migrate.upgrade(administrator, settings)
        with _opened(url, server, _act_as_writer) as engine:
            with engine.connect() as connection:
                check_role(connection)
                writes = is_writer(connection)
            if writes:
                check_key(engine, settings)
            yield engine


@contextmanager
def connect_as_owner(settings: Settings) -> Iterator[Engine]:
    """Open an engine on the migrated database, for what the flows may not do: the schema, and who sees what.

    The login is that of ``owner_url``, or of ``database_url`` without it. Raises the errors of ``connect``.
    """
    name = "STENCE_OWNER_URL" if settings.owner_url else "STENCE_DATABASE_URL"
    given = settings.owner_url or settings.database_url
    with _place(given, settings, name) as (url, server), _opened(url, server) as engine:
        migrate.upgrade(engine, settings)
        yield engine


@contextmanager
def connect_as_it_is(settings: Settings) -> Iterator[Engine]:
    """Open an engine as ``connect_as_owner`` does, on a database that may be empty: nothing is migrated."""
    name = "STENCE_OWNER_URL" if settings.owner_url else "STENCE_DATABASE_URL"
    given = settings.owner_url or settings.database_url
    with _place(given, settings, name) as (url, server), _opened(url, server) as engine:
        yield engine


@contextmanager
def _place(given: SecretStr | None, settings: Settings, name: str) -> Iterator[tuple[URL, Server | None]]:
    """The URL to connect to; without one that of the embedded server, which runs during the context."""
    if given is not None:
        yield _external_url(given.get_secret_value(), name), None
        return
    server = Server(settings.data_dir)
    with server.in_use():
        yield _embedded_url(server), server


def create_database(engine: Engine, name: str) -> str:
    """Create the database ``name`` on the engine's server if it is missing. Return its URL for asyncpg.

    Raises ConfigurationError if the engine's user may not create databases.
    """
    quoted = engine.dialect.identifier_preparer.quote_identifier(name)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()  # closed at the end, since the flows' role has no right to this
        connection.exec_driver_sql("RESET ROLE")
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


def _external_url(given: str, name: str) -> URL:
    """Parse the hospital's URL in the setting ``name``; SQLAlchemy hides the URL fields user and password."""
    try:
        url = make_url(given.strip())
    except (ArgumentError, ValueError):  # their texts may hold the password
        url = None
    if url is None or given.count("@") > 1 or url.drivername not in {"postgresql", "postgres", DRIVER}:
        raise ConfigurationError(
            f"{name} is not of the form postgresql://user:password@host:5432/database; "
            "characters such as @ : / in a password must be percent-encoded."
        ) from None
    query = dict(url.query)
    user, password = query.pop("user", url.username), query.pop("password", url.password)
    if not isinstance(user, str | None) or not isinstance(password, str | None):
        raise ConfigurationError(f"{name} names a user or a password twice.")
    return URL.create(DRIVER, user, password, url.host, url.port, url.database, query)


def _embedded_url(server: Server) -> URL:
    return URL.create(DRIVER, "postgres", database="postgres", query={"host": str(server.socket_folder)})


@contextmanager
def _opened(
    url: URL, server: Server | None = None, begin: Callable[..., None] = lambda *_: None
) -> Iterator[Engine]:
    """Open an engine on a Postgres that answers; ``begin`` is the last that each new session does."""
    defaults = {name: value for name, value in CONNECT_OPTIONS.items() if name not in url.query}
    engine = create_engine(
        url,
        pool_pre_ping=True,
        hide_parameters=True,  # they hold patient identifiers
        isolation_level="READ COMMITTED",  # independent of the server's, database's or role's default
        connect_args=defaults | {"client_encoding": "utf8"},
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "connect", begin)
    event.listen(engine, "handle_error", _keep_values_out)
    if server is not None:
        _revive_on_connect(engine, server)
    try:
        check(engine)
        yield engine
    finally:
        engine.dispose()


def _set_up(connection: psycopg.Connection[Any], record: object) -> None:
    """Set the session parameters by a statement, because PgBouncer refuses startup options."""
    load_any_time(connection)
    connection.autocommit = True
    connection.execute(queries.statement("set_session").text)
    connection.autocommit = False


def _act_as_writer(connection: psycopg.Connection[Any], record: object) -> None:
    connection.autocommit = True
    connection.execute(queries.statement("act_as_writer").text)
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
