"""Interface of a model for the scoring pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stence.ecg import Recording
from stence.models import Scores, Threshold


class Scorer(Protocol):
    """Interface of a fixed model version. ``stence.models.RiskScorer`` implements it."""

    @property
    def model_version(self) -> str:
        """Registered model version."""

    @property
    def preprocessing_version(self) -> str:
        """Version of the required preprocessing."""

    @property
    def device(self) -> str:
        """Device of the model: ``cpu`` or ``cuda``."""

    @property
    def form(self) -> str:
        """Numeric form of the scores, one of ``stence.inference.FORMS``."""

    @property
    def thresholds(self) -> Mapping[str, Threshold]:
        """Decision thresholds of the flags, by target."""

    def prepare(self, recording: Recording) -> NDArray[np.float32]:
        """Preprocess an ECG to (windows, 12, samples). Raises UnusableEcgError if it is too short."""

    def embed_and_score(self, ecgs: NDArray[np.float32], clinical: NDArray[np.float64]) -> Scores:
        """Return probabilities (n, 6) with their intervals, projections (n, 32) and novelty (n,).

        ``ecgs`` are preprocessed (n, windows, 12, samples), ``clinical`` (n, 2) their ``clinical_values``.
        Results of ECGs are independent of each other.
        """
