"""Change the key of pseudonyms: every patient of every table gets a new pseudonym, and keeps the split."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column, Connection, column, exists, select, table, update

from stence.database import audit, queries
from stence.database.copy import copy_rows
from stence.database.identity import replace_fingerprint, settle_key
from stence.database.tables import ecg_pages, flag_exports, metadata, opted_out
from stence.domain.pseudonyms import Pseudonyms
from stence.domain.splits import split_of
from stence.errors import StenceError
from stence.settings import Settings

NAMES = ("patient_id", "former_id", "present_id")
"""Names of columns that hold pseudonyms."""
RENAMED_APART = (ecg_pages, flag_exports)
"""Tables that say under which name others know a patient."""
PATIENTS_TOGETHER = 50_000

_rekeyed = table("rekeyed", column("old"), column("new"))


def rekey(
    connection: Connection, settings: Settings, new: Pseudonyms, *, by: str, why: str
) -> dict[str, int]:
    """Replace the pseudonyms of the present key by ``new`` ones. Return the number of rows by column.

    All of it is in the connection's transaction. Raises StenceError while a run is alive, ConfigurationError
    if this host lacks the present key.
    """
    connection.execute(queries.statement("act_as_login"))
    connection.execute(queries.statement("rekey_00_decider"), {"person": by, "reason": why})
    old = settle_key(connection, settings)
    if old == new:
        raise StenceError("This is the present key of pseudonyms.")
    if connection.scalar(select(exists().select_from(opted_out))):
        raise StenceError(
            "Patients have opted out under the present key, and would come back under another one: opt them "
            "in, change the key, and opt them out again."
        )
    connection.execute(queries.statement("rekey_01_begin"))
    if running := connection.scalar(queries.statement("running_runs")):
        raise StenceError(
            f"{running} runs are alive and have the present key: wait for their end, or stop them."
        )
    for pairs in _patients(connection):
        copy_rows(connection, "rekeyed", ("old", "new", "split"), (_row(*pair, new) for pair in pairs))
    connection.execute(queries.statement("rekey_03_splits"))
    changed = {f"{each.table}.{each.name}": _replace(connection, each) for each in _columns()}
    connection.execute(queries.statement("rekey_04_traces"))
    replace_fingerprint(connection, new)
    audit.record(connection, "patients.rekeyed", "identity.patients", by=by, why=why, rows=changed)
    return changed


def _patients(connection: Connection) -> Iterator[list[tuple[str, str]]]:
    """Yield pseudonym and number of all patients, in batches."""
    after = ""
    while True:
        values = {"after": after, "limit": PATIENTS_TOGETHER}
        found = connection.execute(queries.statement("rekey_02_patients"), values).tuples().all()
        if not found:
            return
        yield [(patient, number) for patient, number in found]
        after = found[-1][0]


def _row(patient: str, number: str, new: Pseudonyms) -> tuple[str, str, str | None]:
    split, renamed = split_of(patient), new.of(number)
    return patient, renamed, None if split_of(renamed) is split else str(split)


def _columns() -> Iterator[Column[str]]:
    for each in metadata.sorted_tables:
        if each not in RENAMED_APART:
            yield from (each.c[name] for name in NAMES if name in each.c)


def _replace(connection: Connection, place: Column[str]) -> int:
    found = select(_rekeyed.c.new).where(_rekeyed.c.old == place).scalar_subquery()
    known = place.in_(select(_rekeyed.c.old))
    return connection.execute(update(place.table).where(known).values({place: found})).rowcount
