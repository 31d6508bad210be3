"""Angiograms as network inputs, their targets, and their pairs with ECGs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stence.cohort import Part, Split
from stence.cohort.angiograms import Angiograms, ViewBatch
from stence.errors import StenceError
from stence.models import angiographic_targets


class Views(NamedTuple):
    """The views of studies as tensors: the arguments of ``SegmentMIL.decode``."""

    tokens: Tensor
    views: Tensor
    angulations: Tensor

    @classmethod
    def of(cls, batch: ViewBatch) -> Views:
        """Build tensors that share the arrays' memory."""
        arrays = (batch.tokens, batch.views, batch.angulations)
        return cls(*(torch.from_numpy(array) for array in arrays))

    def to(self, device: str) -> Views:
        """Copy the tensors to ``device``."""
        return Views(*(tensor.to(device) for tensor in self))


def targets_of(
    angiograms: Angiograms, threshold: float, usable: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """Return targets (studies, 11); NaN if a study is neither case nor control, or not ``usable``."""
    targets = angiographic_targets(angiograms.degrees, threshold)
    if usable is not None:
        targets[~usable] = np.nan
    return targets


def rows_of(angiograms: Angiograms, split: Split) -> NDArray[np.int64]:
    """Return the studies of a split."""
    return np.flatnonzero(np.array([own == split for own in angiograms.splits], dtype=bool))


def shuffled_batches(rows: NDArray[np.int64], size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Return random batches of equal size. Rows that do not fill a batch are left out of this epoch."""
    order = rng.permutation(rows)
    size = min(size, len(order))
    return [order[start : start + size] for start in range(0, len(order) - size + 1, size)]


def in_groups(rows: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Split the rows into groups of ``size``, in order."""
    return np.split(rows, range(size, len(rows), size))


def angiogram_of(part: Part, angiograms: Angiograms) -> NDArray[np.int64]:
    """Return the index (n,) of each ECG's study among the angiograms; -1 if there is none."""
    if not len(angiograms):
        return np.full(len(part), -1, dtype=np.int64)
    order = np.argsort(angiograms.study)
    places = np.searchsorted(angiograms.study, part.studies, sorter=order)
    places = order[np.minimum(places, len(order) - 1)]
    return np.where(angiograms.study[places] == part.studies, places, -1)


class Pairs:
    """Studies with both an angiogram and ECGs in ``part``. ``studies`` are indices among the angiograms."""

    def __init__(self, part: Part, angiograms: Angiograms) -> None:
        self._ecgs = np.argsort(of_ecgs := angiogram_of(part, angiograms), kind="stable")
        of_ecgs = of_ecgs[self._ecgs]
        every = np.arange(len(angiograms))
        self._first = np.searchsorted(of_ecgs, every)
        self._count = np.searchsorted(of_ecgs, every, side="right") - self._first
        self.studies = np.flatnonzero(self._count)

    def ecgs(self, studies: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw a random ECG of each study. So patients with many ECGs have no larger weight."""
        return self._ecgs[self._first[studies] + rng.integers(self._count[studies])]


class PermutedPairs(Pairs):
    """The same studies, each with the ECGs of another patient: a negative control of pretraining.

    The permutation of the studies is drawn once from ``seed``. Raises StenceError if it is impossible,
    because one patient has more than half of the studies.
    """

    def __init__(self, part: Part, angiograms: Angiograms, seed: int) -> None:
        super().__init__(part, angiograms)
        patients = part.patients[self._ecgs[self._first[self.studies]]]
        self._given = np.arange(len(angiograms))
        self._given[self.studies] = self.studies[others(patients, np.random.default_rng(seed))]

    def ecgs(self, studies: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw a random ECG of the study that each of these was given."""
        return super().ecgs(self._given[studies], rng)


def others(patients: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a permutation (n,) that gives every row a row of another patient (a derangement by patient).

    The rows are put in random order, a patient's together, and rotated by the largest number of rows of a
    patient. Raises StenceError if a patient has more than half of the rows.

    >>> patients = np.array([7, 7, 8, 9, 9])
    >>> bool((patients[others(patients, np.random.default_rng(0))] != patients).all())
    True
    """
    _, patient, counts = np.unique(patients, return_inverse=True, return_counts=True)
    most = int(counts.max(initial=0))
    if 2 * most > len(patients):
        raise StenceError("Permuted pairs need other patients: one has more than half of the cath studies.")
    mixed = rng.permutation(len(patients))
    together = mixed[np.argsort(rng.permutation(len(counts))[patient[mixed]], kind="stable")]
    given = np.empty(len(patients), dtype=np.int64)
    given[together] = np.roll(together, most)
    return given
