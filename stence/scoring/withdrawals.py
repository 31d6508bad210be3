"""Flags that a person withdraws because a model, a device or a day turned out wrong, and restores.

A withdrawn flag is a state, never a deletion. Each decision is kept in ``flag_decisions``, and the flags of a
withdrawal name it. Only flags without a review are withdrawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select

from stence import registry
from stence.database import queries
from stence.database.tables import flag_decisions, flags
from stence.domain.windows import Window
from stence.errors import StenceError


class WithdrawalError(StenceError):
    """The flags cannot be withdrawn or restored."""


class Selection(NamedTuple):
    """Which flags: those that meet every criterion that is not None.

    ``first_day`` and ``last_day`` are days of the recording, both included, in ``timezone``.
    """

    timezone: str
    model_version: str | None = None
    device: str | None = None
    first_day: date | None = None
    last_day: date | None = None


class Found(NamedTuple):
    """A flag without a review. ``state`` is open, or withdrawn because its model is not champion."""

    id: int
    model_version: str
    target: str
    patient_id: str
    state: str


class Decision(NamedTuple):
    """A decision that was recorded: its number, and how many flags it changed."""

    number: int
    flags: int


class Restored(NamedTuple):
    """Flags of a withdrawal that are ``open`` again, ``wait`` for their model, or ``stay`` withdrawn."""

    open: int
    wait: int
    stay: int


def find(connection: Connection, selection: Selection) -> list[Found]:
    """Select the flags without a review, and lock them. Raises RegistryError for an unknown model."""
    if selection.model_version is not None:
        registry.find(connection, selection.model_version)
    start, end = _times(selection)
    values = {
        "model_version": selection.model_version,
        "device": selection.device,
        "start": start,
        "end": end,
    }
    return [Found(*row) for row in connection.execute(queries.statement("open_flags"), values)]


def withdraw(
    connection: Connection, selection: Selection, found: Sequence[Found], *, by: str, why: str
) -> Decision:
    """Withdraw the flags that ``find`` returned for the selection in this transaction."""
    criteria = selection._asdict()
    del criteria["timezone"]
    number = _record(connection, "withdrawn", len(found), by, why, **criteria)
    values = {"ids": [flag.id for flag in found], "by": by, "reason": why, "decision": number}
    connection.execute(queries.statement("withdraw_found_flags"), values)
    return Decision(number, len(found))


def restore(connection: Connection, number: int, *, by: str, why: str) -> Restored:
    """Undo withdrawal ``number``. Flags of the champion open; others wait until their model is champion.

    Flags stay withdrawn whose ECG has no valid score of their model at present: it was replaced, or its
    patient is not certain. Raises WithdrawalError if no flag is withdrawn by this decision.
    """
    connection.execute(queries.statement("hold_champion"))
    of = select(func.count()).where(flags.c.withdrawal_id == number)
    if not (withdrawn := connection.scalar(of)):
        raise WithdrawalError(
            f"No flag is withdrawn by decision {number}; stence query flag_decisions shows all decisions."
        )
    values: dict[str, Any] = {"withdrawal_id": number, "restored_by": by, "reason": why}
    restored = int(connection.scalar(queries.statement("restore_flags"), values))
    _record(connection, "restored", restored, by, why, withdrawal_id=number)
    opened = 0
    if champion := registry.champion(connection):
        values = {"model_version": champion.version, "by": by, "reason": why}
        opened = int(connection.scalar(queries.statement("reopen_flags"), values))
    return Restored(opened, restored - opened, withdrawn - restored)


def _times(selection: Selection) -> tuple[datetime | None, datetime | None]:
    """Return start (included) and end (excluded) of the days."""
    first, last = selection.first_day, selection.last_day
    return (
        Window.of_day(first, selection.timezone).start if first else None,
        Window.of_day(last, selection.timezone).end if last else None,
    )


def _record(connection: Connection, decision: str, count: int, by: str, why: str, **criteria: Any) -> int:
    row = {"decision": decision, "decided_by": by, "reason": why, "flags": count, **criteria}
    statement = insert(flag_decisions).values(row).returning(flag_decisions.c.id)
    return int(connection.execute(statement).scalar_one())
