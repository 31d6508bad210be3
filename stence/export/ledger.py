"""The ledger of messages, the table ``flag_exports``: plan, read what waits, record what was sent."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, update

from stence.database import queries
from stence.database.tables import flag_exports
from stence.export.messages import Message

LARGEST_BATCH = 1000
"""Messages that are read together, and rows of a CSV file."""


class Receiver(NamedTuple):
    """Format and destination of messages. Each receiver has its own part of the ledger."""

    format: str
    destination: str


class Receipt(NamedTuple):
    """Answer to a message: the resource or file it became, or why it was refused."""

    message: Message
    resource: str | None = None
    etag: str | None = None
    refusal: str | None = None


def take_turn(connection: Connection, receiver: Receiver) -> None:
    """Wait until no other transaction sends to this receiver, so that no message overtakes a newer one."""
    digest = hashlib.sha256(f"stence export {receiver.format} {receiver.destination}".encode()).digest()
    lock = int.from_bytes(digest[:8], signed=True)
    connection.execute(queries.statement("export_00_turn"), {"lock": lock})


def plan(connection: Connection, receiver: Receiver, flags: Sequence[int] | None = None) -> None:
    """Plan a message for every flag of which the receiver does not know the present state.

    With ``flags`` only for those of them that it was told about.
    """
    take_turn(connection, receiver)
    for name in ("export_01_refresh", "export_02_plan"):
        connection.execute(queries.statement(name), receiver._asdict() | {"flags": _ids(flags)})


def waiting(
    connection: Connection, receiver: Receiver, after: int, flags: Sequence[int] | None = None
) -> list[Message]:
    """Select the next messages that wait, with numbers above ``after``, in their order; only of ``flags``."""
    values = {**receiver._asdict(), "after": after, "limit": LARGEST_BATCH, "flags": _ids(flags)}
    found = connection.execute(queries.statement("export_03_waiting"), values)
    return [Message.of(row._asdict()) for row in found]


def _ids(flags: Sequence[int] | None) -> list[int] | None:
    return None if flags is None else list(flags)


def record(connection: Connection, receipts: Sequence[Receipt]) -> None:
    """Mark messages as sent, or note why they were refused; those wait for the next export."""
    for receipt in receipts:
        sent_at = func.now() if receipt.refusal is None else None
        answer = {"resource": receipt.resource, "etag": receipt.etag, "refusal": receipt.refusal}
        which = flag_exports.c.id == receipt.message.id
        connection.execute(update(flag_exports).where(which).values(sent_at=sent_at, **answer))
