"""What the pipeline asks of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stence.ecg import Recording
from stence.models import Scores, Threshold


class Scorer(Protocol):
    """A pinned model version; ``stence.models.RiskScorer`` is one."""

    @property
    def model_version(self) -> str:
        """The registered version."""

    @property
    def preprocessing_version(self) -> str:
        """How its ECGs must have been prepared."""

    @property
    def device(self) -> str:
        """Where it runs: ``cpu`` or ``cuda``."""

    @property
    def thresholds(self) -> Mapping[str, Threshold]:
        """From which probability on a target is flagged."""

    def prepare(self, recording: Recording) -> NDArray[np.float32]:
        """What it reads of an ECG: (windows, 12, samples). Raises UnusableEcgError for one too short."""

    def embed_and_score(self, ecgs: NDArray[np.float32]) -> Scores:
        """Probabilities (n, 6), and projections (n, 32) of what its encoder sees in them.

        Of prepared ECGs (n, windows, 12, samples); what it says of one does not depend on the others.
        """
