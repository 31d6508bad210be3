"""The angiograms of a cohort: features of every view of every study, in one memory-mapped file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.domain.splits import Split
from stence.domain.targets import SEGMENTS

INDEX = "angiograms.json"
FEATURES = "features.f16"


class ViewBatch(NamedTuple):
    """The views of a batch of studies, padded with zeros to the largest number of views.

    ``tokens`` (b, v, frames, t, patch_dim) float16; ``views`` (b,) is the number of views
    without padding; ``angulations`` (b, v, 2) in degrees.
    """

    tokens: NDArray[np.float16]
    views: NDArray[np.int64]
    angulations: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Angiograms:
    """Studies with usable views; features are read from disk on access.

    Study ``i`` has the number ``study[i]`` in the cohort's StudyTable. Its views are the rows ``first[i]`` to
    ``first[i] + count[i]`` of ``angles`` (v, 2), primary and secondary in degrees, and of
    ``features`` (v, versions, frames, t, patch_dim). Version 0 is the original frames, the others are
    augmented. The frames are those around the key frame, by time.
    ``degrees`` (s, 16) are the stenosis degrees of the studies in percent. ``objects`` (v,) are the numbers
    of the views' objects in the database, if known.
    """

    study: NDArray[np.int64]
    first: NDArray[np.int64]
    count: NDArray[np.int64]
    angles: NDArray[np.float32]
    degrees: NDArray[np.float32]
    splits: tuple[Split, ...]
    features: NDArray[np.float16]
    objects: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.study)

    @property
    def patch_dim(self) -> int:
        """Dimension of a patch's feature vector."""
        return self.features.shape[-1]

    def batch(
        self, studies: NDArray[np.int64], rng: np.random.Generator | None, drop_views: float
    ) -> ViewBatch:
        """Return the views of the studies at positions ``studies`` (b,).

        Without ``rng``: all views, original frames. With ``rng``: a random augmented version of each view,
        whose frames are augmented alike. Then a random share of each study's views, from 0 to
        ``drop_views``, is left out; at least one is kept.
        """
        chosen = [self._rows(study, rng, drop_views) for study in studies]
        views = np.array([len(rows) for rows in chosen], dtype=np.int64)
        most = int(views.max(initial=0))
        tokens = np.zeros((len(chosen), most, *self.features.shape[2:]), dtype=np.float16)
        angulations = np.zeros((len(chosen), most, 2), dtype=np.float32)
        for number, rows in enumerate(chosen):
            for place, row in enumerate(rows):
                tokens[number, place] = self.features[row, self._version(rng)]
            angulations[number, : len(rows)] = self.angles[rows]
        return ViewBatch(tokens, views, angulations)

    def _rows(self, study: np.int64, rng: np.random.Generator | None, drop_views: float) -> NDArray[np.int64]:
        first, count = int(self.first[study]), int(self.count[study])
        rows = np.arange(first, first + count, dtype=np.int64)
        if rng is None:
            return rows
        dropped = min(int(rng.uniform(0, drop_views) * count), count - 1)
        return np.sort(rng.choice(rows, count - dropped, replace=False))

    def _version(self, rng: np.random.Generator | None) -> int:
        versions = self.features.shape[1]
        return int(rng.integers(1, versions)) if rng is not None and versions > 1 else 0


def read_angiograms(folder: Path) -> Angiograms:
    """Read the angiograms gathered in ``folder``."""
    index = json.loads((folder / INDEX).read_text())
    studies, angles = index["studies"], index["angles"]
    shape = (len(angles), *index["shape"])
    return Angiograms(
        np.array([study["number"] for study in studies], dtype=np.int64),
        np.array([study["first"] for study in studies], dtype=np.int64),
        np.array([study["count"] for study in studies], dtype=np.int64),
        np.array(angles, dtype=np.float32).reshape(-1, 2),
        np.array([study["degrees"] for study in studies], dtype=np.float32).reshape(-1, SEGMENTS),
        tuple(Split(study["split"]) for study in studies),
        np.memmap(folder / FEATURES, dtype=np.float16, mode="r", shape=shape)
        if angles
        else np.empty(shape, dtype=np.float16),
        np.array(index["objects"], dtype=np.int64) if "objects" in index else None,
    )
