"""Retrieval metrics of the shared space: rank of an ECG's own angiogram among all angiograms of a split."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from stence.cohort import Part, Split
from stence.cohort.angiograms import Angiograms
from stence.errors import StenceError
from stence.fitting.probe import embeddings
from stence.fitting.studies import Views, angiogram_of, in_groups, rows_of
from stence.models import StencePair

WITHIN = (1, 5, 10)
"""Values of k in recall@k."""
STUDIES_TOGETHER = 32


def retrieval(
    pair: StencePair, part: Part, angiograms: Angiograms, split: Split, windows: int, device: str
) -> dict[str, Any]:
    """Compute retrieval metrics, as JSON. Each ECG of ``part`` ranks the split's angiograms by cosine.

    ``recall`` is the share of ECGs whose own angiogram is among the first 1, 5 and 10. ``chance`` holds
    the same metrics for a random order. An ECG's embedding is the mean over its ``windows``.
    Raises StenceError if no ECG has an angiogram.
    """
    studies = rows_of(angiograms, split)
    own = angiogram_of(part, angiograms)
    ecgs = np.flatnonzero(own >= 0)
    if not len(ecgs):
        raise StenceError(f"No {split} ECG has an angiogram, so retrieval cannot be measured.")
    pair.eval()
    places = ecg_places(pair, part, ecgs, windows, device)
    found = angiogram_places(pair, angiograms, studies, device)
    return {"ecgs": len(ecgs), "angiograms": len(studies)} | ranked(
        places, found, np.searchsorted(studies, own[ecgs])
    )


def ranked(
    places: NDArray[np.float32], angiograms: NDArray[np.float32], own: NDArray[np.intp]
) -> dict[str, Any]:
    """Return recall and median rank of the angiograms ``own`` (n,), and the same for a random order.

    ``places`` (n, d) of ECGs and ``angiograms`` (s, d) are unit vectors.
    """
    ranks = ranks_of(places @ angiograms.T, own)
    return {
        "recall": {str(k): float((ranks <= k).mean()) for k in WITHIN},
        "median_rank": float(np.median(ranks)),
        "chance": {
            "recall": {str(k): min(k / len(angiograms), 1.0) for k in WITHIN},
            "median_rank": (len(angiograms) + 1) / 2,
        },
    }


def ecg_places(
    pair: StencePair, part: Part, ecgs: NDArray[np.int64], windows: int, device: str
) -> NDArray[np.float32]:
    """Embed the ECGs (n,) of ``part`` with a pair on ``device``: unit vectors (n, shared)."""
    return normalize(embeddings(_Way(pair).eval(), part, ecgs, windows, device), dim=1).numpy()


class _Way(torch.nn.Module):
    """The ECG encoder with its projection into the shared space, as a module."""

    def __init__(self, pair: StencePair) -> None:
        super().__init__()
        self._pair = pair

    def forward(self, windows: Tensor) -> Tensor:
        return normalize(self._pair.ecg(windows), dim=1)


@torch.inference_mode()
def angiogram_places(
    pair: StencePair, angiograms: Angiograms, studies: NDArray[np.int64], device: str
) -> NDArray[np.float32]:
    """Embed the angiograms ``studies`` (n,) with a pair on ``device``: unit vectors (n, shared)."""
    groups = [
        Views.of(angiograms.batch(some, None, 0.0)).to(device)
        for some in in_groups(studies, STUDIES_TOGETHER)
    ]
    places = torch.cat([pair.angiogram(*views)[0].float().cpu() for views in groups])
    return normalize(places, dim=1).numpy()


def ranks_of(similarity: NDArray[np.float32], own: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the rank (n,) of column ``own[i]`` in row i, from 1; ties get the middle rank."""
    its = similarity[np.arange(len(own)), own][:, None]
    return 1 + (similarity > its).sum(axis=1) + ((similarity == its).sum(axis=1) - 1) / 2
