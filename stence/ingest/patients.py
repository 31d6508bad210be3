"""Load the snapshot of merged patients and decided splits from the database."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, select

from stence.database.tables import patient_aliases, patient_splits
from stence.domain.merged_patients import Patients
from stence.domain.splits import Split


def load_merged(connection: Connection) -> Patients:
    """Load the merged patients, without splits."""
    aliases = connection.execute(select(patient_aliases.c.patient_id, patient_aliases.c.present_id))
    return Patients({former: present for former, present in aliases})


def load_patients(connection: Connection) -> Patients:
    """Load the merged patients and the decided splits, which after a change of the key are many."""
    decided = connection.execute(select(patient_splits.c.patient_id, patient_splits.c.split))
    splits = {patient: Split(split) for patient, split in decided}
    return replace(load_merged(connection), splits=splits)
