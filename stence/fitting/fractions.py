"""Subsets of the training patients, to measure the effect of the number of cath reports on a model."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def label_share(patients: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Return a mask (n,) of ECGs: their patient is in the ``fraction`` of ``patients`` (n,) to use.

    Patients are ranked by a hash with key ``seed``, and the first are taken. With the same seed, a larger
    fraction contains a smaller one. Another seed draws other patients.
    """
    names, patient = np.unique(patients, return_inverse=True)
    ranked = np.argsort(np.array([_place(int(name), seed) for name in names], dtype=np.uint64))
    taken = np.zeros(len(names), dtype=np.bool_)
    taken[ranked[: round(fraction * len(names))]] = True
    return taken[patient]


def _place(patient: int, seed: int) -> int:
    key = f"stence label share {seed}".encode()
    return int.from_bytes(hashlib.blake2b(str(patient).encode(), digest_size=8, key=key).digest())
