"""A tiny cohort of ECGs and angiograms that share what is wrong with the patient's arteries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from stence.cohort import Cohort, Part, Split
from stence.cohort.angiograms import Angiograms
from stence.cohort.dataset import StudyTable
from stence.cohort.signals import RAW_SAMPLES
from stence.ecg import preprocess
from stence.encoders import Encoder
from stence.models import labels

PATCHES, PATCH_DIM, VERSIONS = 9, 24, 3
LATENTS = 6


class LeadPowers(Encoder):
    """An encoder that learns within a second: two layers over how strong each lead is."""

    size = 32
    window_samples = 1500
    config: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, self.size))

    def forward(self, windows: Tensor) -> Tensor:
        return self.layers(windows.std(dim=2).log())

    def blocks_and_rest(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        return list(self.layers), []

    def load_published(self, weights: Mapping[str, Tensor]) -> None:
        self.load_state_dict(dict(weights))

    def folded(self) -> nn.Module:
        return deepcopy(self).eval()


def tiny_pairs(
    counts: dict[Split, int] | None = None, *, ecgs_each: int = 1, shuffled: bool = False, seed: int = 0
) -> tuple[Cohort, Angiograms]:
    """So many patients in each split, with one study and ``ecgs_each`` ECGs each.

    A patient has a few hidden numbers. They are how strong the leads of the ECGs are and shape a patch of the
    angiogram; the first one decides the stenosis. ``shuffled``: the angiograms are other patients'.
    """
    rng = np.random.default_rng(seed)
    counts = counts or {Split.TRAIN: 48, Split.VALIDATION: 32, Split.TEST: 32}
    splits = tuple(split for split, count in counts.items() for _ in range(count))
    hidden = rng.normal(size=(len(splits), LATENTS))
    degrees = np.zeros((len(splits), 16), dtype=np.float32)
    degrees[:, 5] = np.where(hidden[:, 0] > 0, 80, 20)
    degrees[:, 0] = np.where(hidden[:, 1] > 0.8, 90, 0)
    table = StudyTable(np.arange(len(splits)), degrees, splits, ("",) * len(splits))
    parts = {split: _part(split, splits, hidden, degrees, ecgs_each, rng) for split in Split}
    seen = _shuffled_within(splits, hidden, rng) if shuffled else hidden
    return Cohort(parts, {}, table), _angiograms(splits, seen, degrees, rng)


def _shuffled_within(
    splits: tuple[Split, ...], hidden: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    shuffled = hidden.copy()
    for split in set(splits):
        rows = np.flatnonzero(np.array([own == split for own in splits]))
        shuffled[rows] = hidden[rng.permutation(rows)]
    return shuffled


def _part(
    split: Split,
    splits: tuple[Split, ...],
    hidden: NDArray[np.float64],
    degrees: NDArray[np.float32],
    ecgs_each: int,
    rng: np.random.Generator,
) -> Part:
    studies = np.repeat(np.flatnonzero(np.array([own == split for own in splits])), ecgs_each)
    raw = [_ecg(hidden[study], RAW_SAMPLES, rng) for study in studies]
    if split is Split.TRAIN:
        signals = np.array(raw, dtype=np.float32).reshape(-1, 12, RAW_SAMPLES)
    else:
        windows = np.array([[s[:, :1500], s[:, 3500:]] for s in raw], dtype=np.float32)
        signals = (
            preprocess(windows.reshape(-1, 2, 12, 1500)) if raw else np.empty((0, 2, 12, 1500), np.float32)
        )
    count = len(studies)
    return Part(
        tuple(f"{split}{number}" for number in range(count)),
        studies.copy(),
        studies,
        np.array([labels(degrees[study].tolist()) for study in studies], dtype=np.float32).reshape(-1, 6),
        degrees[studies],
        np.full(count, "F"),
        np.full(count, 60.0),
        np.full(count, RAW_SAMPLES),
        np.arange(count),
        signals,
    )


def _ecg(hidden: NDArray[np.float64], samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A tone in each lead, as loud as one of the hidden numbers says, and noise."""
    tone = np.sin(2 * np.pi * (8 * np.arange(samples) / 500 + rng.uniform()))
    return np.exp(0.7 * hidden[np.arange(12) % LATENTS])[:, None] * tone + 0.1 * rng.normal(
        size=(12, samples)
    )


def _angiograms(
    splits: tuple[Split, ...],
    hidden: NDArray[np.float64],
    degrees: NDArray[np.float32],
    rng: np.random.Generator,
) -> Angiograms:
    count = rng.integers(1, 5, len(splits))
    first = np.concatenate(([0], np.cumsum(count)[:-1]))
    of_view = np.repeat(np.arange(len(splits)), count)
    mixing = np.random.default_rng(1).normal(size=(LATENTS, PATCH_DIM))
    features = rng.normal(0, 0.3, (len(of_view), VERSIONS, PATCHES, PATCH_DIM))
    features[:, :, 0] += (hidden @ mixing)[of_view, None]
    return Angiograms(
        np.arange(len(splits)),
        first,
        count,
        rng.uniform(-40, 60, (len(of_view), 2)).astype(np.float32),
        degrees,
        splits,
        features.astype(np.float16)[:, :, None],
    )
