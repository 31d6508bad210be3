"""Split of patients into train, validation, calibration and test, by a hash of the patient's pseudonym.

The split needs no storage, is the same in every run, and never changes as data grows. Key and shares are
constants, not settings: a change would move test patients into training. A change of the key of pseudonyms
stores the splits that it would change (``patient_splits``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, auto
from types import MappingProxyType
from typing import Any, Self

KEY = b"stence cohort split 1"


class Split(StrEnum):
    """Use of a patient's ECGs."""

    TRAIN = auto()
    """Fit the network."""
    VALIDATION = auto()
    """Choose the epoch and the thresholds."""
    CALIBRATION = auto()
    """Calibrate probabilities."""
    TEST = auto()
    """Report metrics. No decision uses this split."""


SHARES: Mapping[Split, float] = MappingProxyType(
    {Split.TRAIN: 0.6, Split.VALIDATION: 0.15, Split.CALIBRATION: 0.1, Split.TEST: 0.15}
)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What a training held out besides the test patients by hash; ``moved`` is the number of patients.

    ``kind`` is patient (nothing more), temporal (patients with a study from ``cut`` on) or site (patients
    with an ECG at one of ``sites``).

    >>> HeldOut("site", sites=("ward 3",), moved=12).summary
    {'kind': 'site', 'sites': ['ward 3'], 'moved': 12}
    """

    kind: str = "patient"
    cut: datetime | None = None
    sites: tuple[str, ...] = ()
    moved: int = 0

    @property
    def summary(self) -> dict[str, Any]:
        """The same as JSON, for the manifest; empty parts are left out."""
        cut = {"cut": self.cut.isoformat()} if self.cut else {}
        sites = {"sites": list(self.sites)} if self.sites else {}
        return {"kind": self.kind, **cut, **sites, "moved": self.moved}

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> Self:
        """Read a summary; an empty one is of a split by patient alone."""
        cut = summary.get("cut")
        return cls(
            summary.get("kind", "patient"),
            datetime.fromisoformat(cut) if cut else None,
            tuple(summary.get("sites", ())),
            summary.get("moved", 0),
        )


NOTHING_HELD_OUT = HeldOut()


def split_of(patient_id: str) -> Split:
    """Return the split of a patient: a keyed BLAKE2b hash in [0, 1), divided by ``SHARES``.

    >>> split_of("12345")
    <Split.TRAIN: 'train'>
    """
    digest = hashlib.blake2b(patient_id.encode(), digest_size=8, key=KEY).digest()
    place = int.from_bytes(digest, "big") / 2**64
    end = 0.0
    for split, share in SHARES.items():
        end += share
        if place < end:
            return split
    return Split.TEST
