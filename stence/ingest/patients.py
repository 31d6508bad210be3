"""Load the snapshot of merged patients, decided splits and opt-outs from the database."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, select

from stence.database import queries
from stence.database.tables import installation, opted_out, patient_aliases, patient_splits
from stence.domain.merged_patients import Patients
from stence.domain.opt_outs import OptOuts
from stence.domain.splits import Split


def load_merged(connection: Connection) -> Patients:
    """Load the merged patients and the opt-outs, without splits."""
    aliases = connection.execute(select(patient_aliases.c.patient_id, patient_aliases.c.present_id))
    numbers = {former: present for former, present in aliases}
    return Patients(numbers, opted_out=load_opt_outs(connection))


def load_patients(connection: Connection) -> Patients:
    """Load the merged patients and the decided splits, which after a change of the key are many."""
    decided = connection.execute(select(patient_splits.c.patient_id, patient_splits.c.split))
    splits = {patient: Split(split) for patient, split in decided}
    return replace(load_merged(connection), splits=splits)


def load_opt_outs(connection: Connection) -> OptOuts:
    """Load the opt-out list; nobody opts out until this transaction ends.

    Whoever writes what names a patient calls it first, in the same transaction.
    """
    connection.execute(queries.statement("opt_outs_hold"))
    key = connection.scalar(select(installation.c.value).filter_by(name="opt_out_key"))
    digests = connection.scalars(select(opted_out.c.digest))
    return OptOuts(bytes.fromhex(key or ""), frozenset(digests))
