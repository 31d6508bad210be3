"""Interface of a model for the scoring pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stence.ecg.recipes import Recipe
from stence.models import Scores, Threshold


class PendingScores(Protocol):
    """Scores that may still be computed."""

    def result(self) -> Scores:
        """Return the scores, and wait for them if necessary."""

    def cancel(self) -> None:
        """Drop the ECGs that have not begun; ``result`` must not be called after it."""


class Scorer(Protocol):
    """Interface of a fixed model version. ``stence.models.RiskScorer`` implements it."""

    @property
    def model_version(self) -> str:
        """Registered model version."""

    @property
    def preprocessing_version(self) -> str:
        """Version of the required preprocessing."""

    @property
    def recipe(self) -> Recipe:
        """The required preprocessing."""

    @property
    def windows(self) -> int:
        """Number of windows per ECG."""

    @property
    def device(self) -> str:
        """Device of the model: ``cpu`` or ``cuda``."""

    @property
    def form(self) -> str:
        """Numeric form of the scores, one of ``stence.inference.FORMS``."""

    @property
    def thresholds(self) -> Mapping[str, Threshold]:
        """Decision thresholds of the flags, by target."""

    def start(self, ecgs: NDArray[np.float32], clinical: NDArray[np.float64]) -> PendingScores:
        """Begin to compute probabilities (n, 6) with their intervals, projections (n, 32) and novelty (n,).

        ``ecgs`` are preprocessed (n, windows, 12, samples), and stay as they are until the result is there;
        ``clinical`` (n, 2) are their ``clinical_values``. Results of ECGs are independent of each other.
        """
