"""Train, validation, calibration or test: decided by the patient alone, once and for all.

The choice is a hash of the patient's id, so it needs no memory, never moves as data grows, and is the same in
every hospital run. The key and the shares are constants, not settings: changing either would move
patients who were tested on into training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum, auto
from types import MappingProxyType

KEY = b"stence cohort split 1"


class Split(StrEnum):
    """What a patient's ECGs are used for."""

    TRAIN = auto()
    """To fit the network."""
    VALIDATION = auto()
    """To choose the epoch, and the thresholds."""
    CALIBRATION = auto()
    """To calibrate probabilities."""
    TEST = auto()
    """To report figures; decides nothing."""


SHARES: Mapping[Split, float] = MappingProxyType(
    {Split.TRAIN: 0.6, Split.VALIDATION: 0.15, Split.CALIBRATION: 0.1, Split.TEST: 0.15}
)


def split_of(patient_id: str) -> Split:
    """The split of a patient: their place in [0, 1) by a keyed BLAKE2b hash, cut into ``SHARES``."""
    digest = hashlib.blake2b(patient_id.encode(), digest_size=8, key=KEY).digest()
    place = int.from_bytes(digest, "big") / 2**64
    end = 0.0
    for split, share in SHARES.items():
        end += share
        if place < end:
            return split
    return Split.TEST
