"""The audit: who did what to what, when and why. Entries are added, and never changed."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection

from stence.database import queries


def record(
    connection: Connection, action: str, subject: str, *, by: str, why: str | None, **detail: Any
) -> None:
    """Add an entry in the connection's transaction; it stands if the transaction commits.

    ``by`` is the person whom the caller names, or stence; the login is the session's. No argument may name a
    patient: an entry cannot be taken back.
    """
    values = {"action": action, "subject": subject, "person": by, "reason": why, "detail": json.dumps(detail)}
    connection.execute(queries.statement("audit_record"), values)
