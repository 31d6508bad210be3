"""The roles of the server that stence uses, and as which of them a session acts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from stence.database import queries
from stence.errors import ConfigurationError

OWNER = "stence_owner"
WRITER = "stence_writer"
READER = "stence_reader"
CLINICIAN = "stence_clinician"
APPROVER = "stence_approver"
DENIED = "42501"
"""SQLSTATE insufficient_privilege."""
MAY = text("SELECT pg_has_role(session_user, :role, 'MEMBER')")
ACT = text("SELECT current_setting('role'), set_config('role', :role, true)")


@contextmanager
def acting_as(connection: Connection, role: str) -> Iterator[None]:
    """Act as ``role`` in the connection's transaction during the context.

    Raises ConfigurationError, and leaves the transaction usable, if the login is no member of the role.
    """
    if not connection.scalar(MAY, {"role": role}):
        raise ConfigurationError(
            f"The login {login_of(connection)} is no member of {role}, which this needs: "
            f"a superuser runs {grant(connection, role)}."
        )
    before = connection.execute(ACT, {"role": role}).one()[0]
    yield
    connection.execute(ACT, {"role": before})


@contextmanager
def as_login(connection: Connection) -> Iterator[None]:
    """Act with the rights of the login itself in the connection's transaction during the context."""
    before = connection.execute(ACT, {"role": "none"}).one()[0]
    yield
    connection.execute(ACT, {"role": before})


def check_role(connection: Connection) -> None:
    """Check that the login may work with stence. Raises ConfigurationError if it has none of the roles."""
    if not connection.scalar(queries.statement("has_a_role")):
        raise ConfigurationError(
            f"The login {login_of(connection)} has no role of stence: a superuser runs "
            f"{grant(connection, WRITER)} for the login of the flows; for people it is "
            f"{CLINICIAN}, {READER} or {APPROVER}."
        )


def login_of(connection: Connection) -> str:
    """Return the login that Postgres checked."""
    return str(connection.scalar(text("SELECT session_user")))


def grant(connection: Connection, role: str) -> str:
    """Return the SQL that makes the connection's login a member of a role."""
    quoted = connection.dialect.identifier_preparer.quote_identifier(login_of(connection))
    return f"GRANT {role} TO {quoted}"


def is_writer(connection: Connection) -> bool:
    """Return True if the session acts as the flows do."""
    return connection.scalar(text("SELECT current_setting('role')")) == WRITER
