"""Split of patients into train, validation, calibration and test, by a hash of the patient's identifier.

The split needs no storage, is the same in every run, and never changes as data grows. Key and shares are
constants, not settings: a change would move test patients into training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum, auto
from types import MappingProxyType

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
