"""What stence asks of a Postgres: version, encoding, and sessions that are its own."""

from __future__ import annotations

from sqlalchemy import URL, Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from stence.errors import ConfigurationError, DatabaseUnavailableError

OLDEST_VERSION = 15
"""Views that act with the rights of who asks (``security_invoker``) came with it."""
ENCODING = "UTF8"
PLACE_OPTIONS = ("host", "port")
SECRET_OPTIONS = ("passfile", "service", "servicefile", "sslpassword", "sslkey")
BACKEND = text("SELECT pg_backend_pid()")
FACTS = text(
    "SELECT CAST(current_setting('server_version_num') AS integer) / 10000, "
    "current_setting('server_encoding'), current_database()"
)


def check(engine: Engine) -> None:
    """Refuse a server that stence cannot work with.

    Raises ConfigurationError where it is not usable, DatabaseUnavailableError where it takes no connection.
    """
    place = place_of(engine.url)
    try:
        with engine.connect() as connection:
            version, encoding, name = connection.execute(FACTS).one()
            shared = is_pooled(connection) and _shares_sessions(engine, connection)
    except DBAPIError as error:
        raise DatabaseUnavailableError(
            f"Postgres at {place} did not take the connection: {_without_secrets(error, engine.url)}. "
            "Check that it runs, and STENCE_DATABASE_URL."
        ) from None  # its text may hold secrets
    if version < OLDEST_VERSION:
        raise ConfigurationError(f"{place} is Postgres {version}; stence needs {OLDEST_VERSION} or later.")
    if encoding != ENCODING:
        raise ConfigurationError(
            f"Database {name} at {place} is in {encoding}, which has no room for every name: stence needs "
            f"{ENCODING}. Make another, CREATE DATABASE stence ENCODING '{ENCODING}' TEMPLATE template0, and "
            "name it in STENCE_DATABASE_URL."
        )
    if shared:
        raise ConfigurationError(
            f"{place} is a pool that gives every transaction another session (PgBouncer's pool_mode = "
            "transaction): stence needs sessions. Set pool_mode = session for this database, or name "
            "Postgres itself in STENCE_DATABASE_URL."
        )


def place_of(url: URL) -> str:
    """Where the database is, for messages: no password, and none of the options, which may name secrets."""
    query = {name: value for name, value in url.query.items() if name in PLACE_OPTIONS}
    return url.set(query=query).render_as_string()


def _without_secrets(error: DBAPIError, url: URL) -> str:
    """All that was said of a failed connection, which is never about rows, without what the URL keeps."""
    reason = " ".join(str(error.orig).split()).rstrip(".")
    secrets = [url.password, *(url.query.get(name) for name in SECRET_OPTIONS)]
    for secret in filter(None, secrets):
        reason = reason.replace(str(secret), "***")
    return reason


def is_pooled(connection: Connection) -> bool:
    """Whether a pool stands between us and Postgres: it announces process numbers of its own."""
    driver = connection.connection.driver_connection
    return driver is not None and driver.info.backend_pid != connection.scalar(BACKEND)


def _shares_sessions(engine: Engine, first: Connection) -> bool:
    """Whether the pool gave away the session of ``first`` between two of its transactions.

    A second client takes the session that the first one let go; where it does not, the first one finds out
    by its next transaction whether it still has its own.
    """
    own = first.scalar(BACKEND)
    first.commit()
    with engine.connect() as second:
        if second.scalar(BACKEND) == own:
            return True
        return first.scalar(BACKEND) != own
