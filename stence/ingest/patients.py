"""Which numbers are one patient's, and the split of each patient: as the database says at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine, select

from stence.database.tables import patient_aliases, patient_splits
from stence.domain.splits import Split, split_of


@dataclass(frozen=True, slots=True)
class Patients:
    """Merged patients: the present number of each former one, and splits that were decided for some."""

    present_numbers: Mapping[str, str] = field(default_factory=dict, repr=False)
    splits: Mapping[str, Split] = field(default_factory=dict, repr=False)

    def present(self, patient_id: str) -> str:
        """The number that the patient has now."""
        return self.present_numbers.get(patient_id, patient_id)

    def split_of(self, patient_id: str) -> Split:
        """The split of the patient with this number, present or former."""
        present = self.present(patient_id)
        return self.splits.get(present) or split_of(present)


NOT_MERGED = Patients()


def load_patients(engine: Engine) -> Patients:
    """The merged patients in the database."""
    with engine.connect() as connection:
        aliases = connection.execute(select(patient_aliases.c.patient_id, patient_aliases.c.present_id))
        numbers = {former: present for former, present in aliases}
        decided = connection.execute(select(patient_splits.c.patient_id, patient_splits.c.split))
        return Patients(numbers, {patient: Split(split) for patient, split in decided})
