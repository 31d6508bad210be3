"""The opt-out list: put a patient on it, and take the patient off again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete
from sqlalchemy.dialects.postgresql import insert

from stence.database import audit, queries
from stence.database.tables import opted_out
from stence.domain.opt_outs import OPTED_OUT
from stence.domain.patients import certain_id
from stence.domain.pseudonyms import Pseudonyms
from stence.errors import ForgettingError
from stence.ingest.patients import load_opt_outs


class OptedOut(NamedTuple):
    """Numbers of the patient that are on the list, and flags that were withdrawn."""

    numbers: int
    flags: int


def pseudonyms_of(connection: Connection, pseudonyms: Pseudonyms, text: str) -> list[str]:
    """Return the pseudonyms of all numbers of the patient with the number ``text``, present and former ones.

    Raises ForgettingError if it is not a patient number.
    """
    values = {"patient_id": pseudonyms.of(certain_id(text, ForgettingError))}
    return list(connection.scalars(queries.statement("opt_outs_numbers"), values))


def opt_out(connection: Connection, pseudonyms: Pseudonyms, number: str, *, by: str, why: str) -> OptedOut:
    """Put a patient on the opt-out list, by all numbers, and withdraw the patient's flags.

    Scores stay until the patient is forgotten. Raises ForgettingError if it is not a patient number.
    """
    patients = pseudonyms_of(connection, pseudonyms, number)
    withdrawn = add(connection, patients, by=by)
    audit.record(connection, "patient.opted_out", "opted_out", by=by, why=why, flags_withdrawn=withdrawn)
    return OptedOut(len(patients), withdrawn)


def opt_in(connection: Connection, pseudonyms: Pseudonyms, number: str, *, by: str, why: str) -> int:
    """Take a patient off the opt-out list. Return how many of the patient's numbers were on it.

    The next index and score run take up the patient's files. Raises ForgettingError if it is not a patient
    number, or if the patient is not on the list.
    """
    patients = pseudonyms_of(connection, pseudonyms, number)
    connection.execute(queries.statement("opt_outs_change"))
    listed = delete(opted_out).where(queries.among(opted_out.c.digest, _digests(connection, patients)))
    if not (removed := connection.execute(listed).rowcount):
        raise ForgettingError("This patient has not opted out.")
    values = {"patient_ids": patients, "opted_out": OPTED_OUT}
    connection.execute(queries.statement("opt_outs_take_up"), values)
    audit.record(connection, "patient.opted_in", "opted_out", by=by, why=why)
    return removed


def add(connection: Connection, patients: Sequence[str], *, by: str) -> int:
    """Put a patient's pseudonyms on the list; return how many flags were withdrawn.

    It waits for transactions that write by the list as it was.
    """
    connection.execute(queries.statement("opt_outs_change"))
    rows = [{"digest": digest} for digest in _digests(connection, patients)]
    connection.execute(insert(opted_out).on_conflict_do_nothing(), rows)
    values = {"patient_ids": list(patients), "by": by}
    return int(connection.execute(queries.statement("opt_outs_withdraw_flags"), values).scalar_one())


def _digests(connection: Connection, patients: Sequence[str]) -> list[bytes]:
    listed = load_opt_outs(connection)
    return [listed.digest(patient) for patient in patients]
