"""Merged patient numbers, decided splits and opt-outs, as a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stence.domain.opt_outs import OptOuts
from stence.domain.splits import Split, split_of


@dataclass(frozen=True, slots=True)
class Patients:
    """Merged patients: the present number of each former number, and splits decided at merges.

    ``opted_out`` are patients of whom nothing is taken up, by all their numbers.
    """

    present_numbers: Mapping[str, str] = field(default_factory=dict, repr=False)
    splits: Mapping[str, Split] = field(default_factory=dict, repr=False)
    opted_out: OptOuts = field(default_factory=OptOuts, repr=False)

    def present(self, patient_id: str) -> str:
        """Return the patient's present number."""
        return self.present_numbers.get(patient_id, patient_id)

    def split_of(self, patient_id: str) -> Split:
        """Return the split of the patient with this number, present or former."""
        present = self.present(patient_id)
        return self.splits.get(present) or split_of(present)


NOT_MERGED = Patients()
