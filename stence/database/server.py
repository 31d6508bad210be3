"""Requirements for a Postgres server: version, encoding, and sessions that are not shared."""

from __future__ import annotations

from sqlalchemy import URL, Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from stence.errors import ConfigurationError, DatabaseUnavailableError

OLDEST_VERSION = 15
"""The first version with ``security_invoker`` views, which use the caller's rights."""
ENCODING = "UTF8"
PLACE_OPTIONS = ("host", "port")
SECRET_OPTIONS = ("passfile", "service", "servicefile", "sslpassword", "sslkey")
BACKEND = text("SELECT pg_backend_pid()")
FACTS = text(
    "SELECT CAST(current_setting('server_version_num') AS integer) / 10000, "
    "current_setting('server_encoding'), current_database()"
)


def check(engine: Engine) -> None:
    """Check that stence can work with the server.

    Raises ConfigurationError if it cannot, DatabaseUnavailableError if the server refuses the connection.
    """
    place = place_of(engine.url)
    try:
        with engine.connect() as connection:
            version, encoding, name = connection.execute(FACTS).one()
            shared = is_pooled(connection) and _shares_sessions(engine, connection)
    except DBAPIError as error:
        raise DatabaseUnavailableError(
            f"Postgres at {place} refused the connection: {_without_secrets(error, engine.url)}. "
            "Check that it runs, and check STENCE_DATABASE_URL."
        ) from None  # its text may hold secrets
    if version < OLDEST_VERSION:
        raise ConfigurationError(f"{place} is Postgres {version}; stence needs {OLDEST_VERSION} or later.")
    if encoding != ENCODING:
        raise ConfigurationError(
            f"Database {name} at {place} is in {encoding}, which cannot store every name: stence needs "
            f"{ENCODING}. Run CREATE DATABASE stence ENCODING '{ENCODING}' TEMPLATE template0, and name "
            "this database in STENCE_DATABASE_URL."
        )
    if shared:
        raise ConfigurationError(
            f"{place} is a pool that gives every transaction another session (PgBouncer's pool_mode = "
            "transaction): stence needs sessions. Set pool_mode = session for this database, or name "
            "Postgres itself in STENCE_DATABASE_URL."
        )


def place_of(url: URL) -> str:
    """Return the database's URL for messages, without password and without options, which may be secret."""
    query = {name: value for name, value in url.query.items() if name in PLACE_OPTIONS}
    return url.set(query=query).render_as_string()


def _without_secrets(error: DBAPIError, url: URL) -> str:
    """Return the full message of a failed connection, which never quotes rows, without the URL's secrets."""
    reason = " ".join(str(error.orig).split()).rstrip(".")
    secrets = [url.password, *(url.query.get(name) for name in SECRET_OPTIONS)]
    for secret in filter(None, secrets):
        reason = reason.replace(str(secret), "***")
    return reason


def is_pooled(connection: Connection) -> bool:
    """True if a connection pool is between us and Postgres: a pool reports pids of its own."""
    driver = connection.connection.driver_connection
    return driver is not None and driver.info.backend_pid != connection.scalar(BACKEND)


def _shares_sessions(engine: Engine, first: Connection) -> bool:
    """True if the pool gave the session of ``first`` to another client between two transactions.

    A second client usually gets the session that the first released. If not, the first client's next
    transaction shows whether it still has its own session.
    """
    own = first.scalar(BACKEND)
    first.commit()
    with engine.connect() as second:
        if second.scalar(BACKEND) == own:
            return True
        return first.scalar(BACKEND) != own
