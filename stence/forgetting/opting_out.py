"""The opt-out list: put a patient on it, and take the patient off again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete
from sqlalchemy.dialects.postgresql import insert

from stence.database import audit, queries
from stence.database.tables import opted_out
from stence.domain.opt_outs import OPTED_OUT
from stence.domain.patients import PatientIdError, patient_id
from stence.errors import ForgettingError
from stence.ingest.patients import load_opt_outs


class OptedOut(NamedTuple):
    """Numbers of the patient that are on the list, and flags that were withdrawn."""

    numbers: int
    flags: int


def numbers_of(connection: Connection, text: str) -> list[str]:
    """Return all numbers of the patient with the number ``text``, present and former ones.

    Raises ForgettingError if it is not a patient number.
    """
    try:
        found = patient_id(text)
    except PatientIdError as error:
        raise ForgettingError(f"This is not a patient number: {error}.") from None
    if found is None:
        raise ForgettingError("A placeholder or an empty text is not a patient number.")
    return list(connection.scalars(queries.statement("opt_outs_numbers"), {"patient_id": found}))


def opt_out(connection: Connection, number: str, *, by: str, why: str) -> OptedOut:
    """Put a patient on the opt-out list, by all numbers, and withdraw the patient's flags.

    Scores stay until the patient is forgotten. Raises ForgettingError if it is not a patient number.
    """
    numbers = numbers_of(connection, number)
    withdrawn = add(connection, numbers, by=by)
    audit.record(connection, "patient opted out", "opted_out", by=by, why=why, flags_withdrawn=withdrawn)
    return OptedOut(len(numbers), withdrawn)


def opt_in(connection: Connection, number: str, *, by: str, why: str) -> int:
    """Take a patient off the opt-out list. Return how many of the patient's numbers were on it.

    The next index and score run take up the patient's files. Raises ForgettingError if it is not a patient
    number, or if the patient is not on the list.
    """
    numbers = numbers_of(connection, number)
    connection.execute(queries.statement("opt_outs_change"))
    listed = delete(opted_out).where(queries.among(opted_out.c.digest, _digests(connection, numbers)))
    if not (removed := connection.execute(listed).rowcount):
        raise ForgettingError("This patient has not opted out.")
    values = {"patient_ids": numbers, "opted_out": OPTED_OUT}
    connection.execute(queries.statement("opt_outs_take_up"), values)
    audit.record(connection, "patient opted in", "opted_out", by=by, why=why)
    return removed


def add(connection: Connection, numbers: Sequence[str], *, by: str) -> int:
    """Put a patient's numbers on the list; return how many flags were withdrawn.

    It waits for transactions that write by the list as it was.
    """
    connection.execute(queries.statement("opt_outs_change"))
    rows = [{"digest": digest} for digest in _digests(connection, numbers)]
    connection.execute(insert(opted_out).on_conflict_do_nothing(), rows)
    values = {"patient_ids": list(numbers), "by": by}
    return connection.execute(queries.statement("opt_outs_withdraw_flags"), values).rowcount


def _digests(connection: Connection, numbers: Sequence[str]) -> list[bytes]:
    listed = load_opt_outs(connection)
    return [listed.digest(number) for number in numbers]
