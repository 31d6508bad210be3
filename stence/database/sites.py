"""Sites of clinicians: a login sees the patients with an ECG of one of its sites."""

from __future__ import annotations

from sqlalchemy import Connection, Row, delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from stence.database import audit
from stence.database.roles import CLINICIAN, DENIED
from stence.database.tables import ecgs, site_members
from stence.database.words import state_of
from stence.errors import ConfigurationError

MEMBERSHIP = text(
    "SELECT pg_has_role(oid, :role, 'MEMBER') FROM pg_roles WHERE rolname = :login AND rolcanlogin"
)


def add_site(connection: Connection, login: str, site: str, *, by: str, why: str) -> bool:
    """Make a login a clinician of a site. Return True if an ECG of the site is known.

    Raises ConfigurationError if Postgres has no such login, or if this login may not make clinicians.
    """
    _make_clinician(connection, login)
    row = {"login": login, "site": site, "added_by": by, "why": why}
    connection.execute(insert(site_members).values(row).on_conflict_do_nothing())
    audit.record(connection, "access.granted", login, by=by, why=why, site=site)
    return bool(connection.scalar(select(select(ecgs).where(ecgs.c.site == site).exists())))


def remove_site(connection: Connection, login: str, site: str, *, by: str, why: str) -> None:
    """Hide the patients of a site from a login. Raises ConfigurationError if it does not see them."""
    found = connection.execute(delete(site_members).filter_by(login=login, site=site)).rowcount
    if not found:
        raise ConfigurationError(f"{login} is no member of the site {site}: stence access list shows all.")
    audit.record(connection, "access.revoked", login, by=by, why=why, site=site)


def members(connection: Connection) -> list[Row[tuple[str, ...]]]:
    """Select login, site, who gave access, when and why."""
    columns = (site_members.c[name] for name in ("login", "site", "added_by", "added_at", "why"))
    return list(connection.execute(select(*columns).order_by(site_members.c.login, site_members.c.site)))


def _make_clinician(connection: Connection, login: str) -> None:
    """Grant the role, which is the server's, unless the login has it."""
    member = connection.scalar(MEMBERSHIP, {"login": login, "role": CLINICIAN})
    if member is None:
        raise ConfigurationError(
            f"Postgres has no login {login}: a DBA makes it first, for example CREATE ROLE … LOGIN."
        )
    if member:
        return
    command = f"GRANT {CLINICIAN} TO {connection.dialect.identifier_preparer.quote_identifier(login)}"
    try:
        connection.exec_driver_sql(command)
    except DBAPIError as error:
        if state_of(error) != DENIED:
            raise
        raise ConfigurationError(f"This login may not make clinicians: a superuser runs {command}.") from None
