"""A trained, calibrated model at work: prepared ECGs in, probabilities out."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from stence.models.calibration import Calibration
from stence.models.coherence import probabilities
from stence.models.risk import InferenceForm, RiskModel
from stence.models.targets import TARGET_NAMES
from stence.models.thresholds import DECIMALS, Threshold

BLOCK = 256
"""ECGs that go through the network together on a GPU. Always exactly so many, the last block padded with
zeros, because products of matrices of another shape round differently."""


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
        logits = forward(self._network, ecgs, self.device)
        return np.round(probabilities(self._calibration.apply(logits)), DECIMALS)


def forward(network: InferenceForm, ecgs: NDArray[np.floating], device: str) -> NDArray[np.float64]:
    """Logits (n, outputs) of ECGs (n, windows, 12, samples); an ECG's do not depend on the others."""
    return _one_by_one(network, ecgs) if device == "cpu" else _in_blocks(network, ecgs, device)


def _one_by_one(network: InferenceForm, ecgs: NDArray[np.floating]) -> NDArray[np.float64]:
    """On a CPU every thread has an ECG to itself.

    Threads that share one would wait for each other in every layer, the longer the more else runs; and how
    they share out its rows would show in the last digits.
    """

    def logits_of(ecg: NDArray[np.floating]) -> NDArray[np.float32]:
        return network(torch.from_numpy(ecg[None].astype(np.float32)))[0].numpy()

    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            rows = list(pool.map(logits_of, ecgs))
    finally:
        torch.set_num_threads(threads)
    return np.array(rows, dtype=np.float64).reshape(len(ecgs), network.outputs)


def _in_blocks(network: InferenceForm, ecgs: NDArray[np.floating], device: str) -> NDArray[np.float64]:
    block = np.zeros((BLOCK, *ecgs.shape[1:]), dtype=np.float32)
    logits = np.empty((len(ecgs), network.outputs))
    for start in range(0, len(ecgs), BLOCK):
        part = ecgs[start : start + BLOCK]
        block[: len(part)] = part
        block[len(part) :] = 0
        logits[start : start + BLOCK] = network(torch.from_numpy(block).to(device))[: len(part)].cpu().numpy()
    return logits
