"""Approval of promotions by a second person: request, answer, and use of the approval.

Postgres checks the rules, by the names that people give and by their logins.
"""

from __future__ import annotations

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from stence.database import queries
from stence.database.tables import promotion_requests
from stence.errors import RegistryError

_REFUSED = {"22023", "P0002"}
"""SQLSTATEs of the functions for a refusal. The message gives the reason."""


def request(connection: Connection, version: str, *, by: str, why: str) -> None:
    """Request the promotion of a registered version. Raises RegistryError if a request stands already."""
    _call(connection, "promotion_request", version, by, why)


def answer(connection: Connection, version: str, *, approve: bool, by: str, why: str) -> None:
    """Approve or refuse a requested promotion.

    Raises RegistryError without a request, and for an approval by who requested it, by name or by login. A
    request of stence itself may be approved from any login.
    """
    _call(connection, "promotion_answer", version, by, why, approve=approve)


def use(connection: Connection, version: str, *, by: str, why: str) -> None:
    """Use the approval of a promotion, once. Raises RegistryError without one."""
    _call(connection, "promotion_use_approval", version, by, why)


def last_event(connection: Connection, version: str) -> str | None:
    """Select the last event of the version's requests; None if there is none."""
    p = promotion_requests.c
    events = select(p.event).where(p.version == version).order_by(p.id.desc()).limit(1)
    return connection.scalar(events)


def _call(connection: Connection, name: str, version: str, by: str, why: str, **values: object) -> None:
    values = {"version": version, "person": by, "reason": why, **values}
    try:
        connection.execute(queries.statement(name), values)
    except DBAPIError as error:
        diagnosis = getattr(error.orig, "diag", None)
        if diagnosis is None or diagnosis.sqlstate not in _REFUSED:
            raise
        raise RegistryError(diagnosis.message_primary) from None
