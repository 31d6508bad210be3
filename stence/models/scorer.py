"""A trained, calibrated model at work: prepared ECGs in, probabilities out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from stence.models.calibration import Calibration
from stence.models.coherence import probabilities
from stence.models.risk import InferenceForm, RiskModel
from stence.models.targets import TARGET_NAMES
from stence.models.thresholds import DECIMALS, Threshold

BLOCK = {"cpu": 1, "cuda": 256}
"""ECGs that go through the network together. Always exactly so many, the last block padded with zeros,
because products of matrices of another shape round differently. On a CPU even the place in the block would
matter (its threads share out the rows), and one ECG at a time fits the caches best."""


class RiskScorer:
    """Scores ECGs with one model version; give it what ``stence.ecg.prepare`` made."""

    targets = TARGET_NAMES

    def __init__(
        self,
        model: RiskModel,
        calibration: Calibration,
        *,
        model_version: str,
        preprocessing_version: str,
        windows: int,
        thresholds: Mapping[str, Threshold],
        device: str = "cpu",
    ) -> None:
        self.model_version = model_version
        self.preprocessing_version = preprocessing_version
        self.windows = windows
        self.thresholds = thresholds
        self._calibration = calibration
        self.device = device
        self._network = InferenceForm(model).to(device)

    def score(self, ecgs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities (n, 6), rounded to 6 decimals, of ECGs (n, windows, 12, 1500).

        Raises ValueError for another number of windows than the model was calibrated with.
        """
        if ecgs.ndim != 4 or ecgs.shape[1] != self.windows:
            raise ValueError(f"{self.model_version} wants (n, {self.windows}, 12, samples), got {ecgs.shape}")
        logits = forward_in_blocks(self._network, ecgs, self.device)
        return np.round(probabilities(self._calibration.apply(logits)), DECIMALS)


def forward_in_blocks(network: InferenceForm, ecgs: NDArray[np.floating], device: str) -> NDArray[np.float64]:
    """Logits (n, 6) of ECGs (n, windows, 12, samples), a fixed number of ECGs at a time."""
    size = BLOCK[torch.device(device).type]
    block = np.zeros((size, *ecgs.shape[1:]), dtype=np.float32)
    logits = np.empty((len(ecgs), len(TARGET_NAMES)))
    for start in range(0, len(ecgs), size):
        part = ecgs[start : start + size]
        block[: len(part)] = part
        block[len(part) :] = 0
        logits[start : start + size] = network(torch.from_numpy(block).to(device))[: len(part)].cpu().numpy()
    return logits
