"""The audit: who did what to what, when and why.

Entries are added and never changed. Each has a link, whose hash covers the entry and the link before. Most
are written by triggers (``sql/functions``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Row

from stence.database import queries

ROWS_AT_ONCE = 200
"""Entries that are held in memory together; one has up to 100 kB."""


class Head(NamedTuple):
    """The newest link: its position, and its hash in hexadecimal digits."""

    position: int
    hash: str


NOTHING = Head(0, "")
"""Head of an audit without entries."""


class Verified(NamedTuple):
    """Head of a chain, and what is wrong: the first broken link, and results that differ from the entries."""

    head: Head
    faults: list[str]


def record(
    connection: Connection, action: str, subject: str, *, by: str, why: str | None, **detail: Any
) -> None:
    """Add an entry in the connection's transaction; it stands if the transaction commits.

    ``by`` is the person whom the caller names, or stence; the login is the session's. No argument may name a
    patient: an entry cannot be taken back.
    """
    values = {"action": action, "subject": subject, "person": by, "reason": why, "detail": json.dumps(detail)}
    connection.execute(queries.statement("audit_record"), values)


def head(connection: Connection) -> Head:
    """Select the newest link."""
    found = connection.execute(queries.statement("audit_head")).one_or_none()
    return Head(*found) if found else NOTHING


def verify(engine: Engine, expected: str | None = None) -> Verified:
    """Walk through the chain, and compare flags and scores with what the entries say of them.

    ``expected`` is the hash of an earlier head that was kept elsewhere. Without it, a chain that a superuser
    has rewritten from its first link, or whose end was cut off, looks sound.
    """
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        faults = [
            _broken_link(connection),
            _unlinked(connection),
            _unknown_head(connection, expected),
            _different(connection, "audit_flags", "{} flags do not stand as the audit says, first: flag {}"),
            _different(
                connection, "audit_scores", "{} runs have other scores than the audit says, first: {}"
            ),
        ]
        return Verified(head(connection), [fault for fault in faults if fault])


def _chain(connection: Connection) -> Iterator[Row[Any]]:
    options = {"yield_per": ROWS_AT_ONCE}
    return iter(connection.execute(queries.statement("audit_chain"), execution_options=options))


def _broken_link(connection: Connection) -> str | None:
    """Return what is wrong with the first link that does not continue the chain; None if all do."""
    before = b""
    for position, link in enumerate(_chain(connection), start=1):
        if link.position != position:
            return f"link {position} is missing"
        if not link.found:
            return f"link {position}: its entry {link.entry_id} is missing"
        if not _continues(before, link.entry, link.hash):
            return f"link {position}: {_change(connection, before, link)}"
        before = link.hash
    return None


def _continues(before: bytes, entry: bytes, found: bytes) -> bool:
    return sha256(before + entry).digest() == found


def _change(connection: Connection, before: bytes, broken: Row[Any]) -> str:
    """Return what made a link wrong: it names another entry than its own, or one of the two was changed."""
    for link in _chain(connection):
        if link.found and _continues(before, link.entry, broken.hash):
            return f"the order was changed, it was made for entry {link.entry_id} and names {broken.entry_id}"
    return f"it or its entry {broken.entry_id} was changed"


def _unlinked(connection: Connection) -> str | None:
    entry = connection.scalar(queries.statement("audit_unlinked"))
    return None if entry is None else f"entry {entry} has no link"


def _unknown_head(connection: Connection, expected: str | None) -> str | None:
    if expected is None or connection.scalar(queries.statement("audit_has_hash"), {"hash": expected}):
        return None
    return "no link has the expected hash: the chain was cut off or rewritten after that hash was kept"


def _different(connection: Connection, statement: str, words: str) -> str | None:
    found = connection.execute(queries.statement(statement)).one()
    return words.format(*found) if found.differing else None
