"""Part of the training patients only, to learn how much a model needs of a hospital's cath reports."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def label_share(patients: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Which ECGs (n,) of ``patients`` (n,) belong to the ``fraction`` of patients whose reports are used.

    Patients are ranked by a hash keyed with ``seed``, and the first ones taken: with one seed a smaller
    fraction's patients are among a larger one's, and another seed draws others.
    """
    names, patient = np.unique(patients, return_inverse=True)
    ranked = np.argsort(np.array([_place(int(name), seed) for name in names], dtype=np.uint64))
    taken = np.zeros(len(names), dtype=np.bool_)
    taken[ranked[: round(fraction * len(names))]] = True
    return taken[patient]


def _place(patient: int, seed: int) -> int:
    key = f"stence label share {seed}".encode()
    return int.from_bytes(hashlib.blake2b(str(patient).encode(), digest_size=8, key=key).digest())
