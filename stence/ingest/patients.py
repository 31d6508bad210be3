"""Load the snapshot of merged patient numbers and decided splits from the database."""

from __future__ import annotations

from sqlalchemy import Connection, select

from stence.database.tables import patient_aliases, patient_splits
from stence.domain.merged_patients import Patients
from stence.domain.splits import Split


def load_patients(connection: Connection) -> Patients:
    """Load the merged patients from the database."""
    aliases = connection.execute(select(patient_aliases.c.patient_id, patient_aliases.c.present_id))
    numbers = {former: present for former, present in aliases}
    decided = connection.execute(select(patient_splits.c.patient_id, patient_splits.c.split))
    return Patients(numbers, {patient: Split(split) for patient, split in decided})
