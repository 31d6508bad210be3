"""StenCE's preparation of a window at 500 Hz: clipped, free of wander, normalised by group.

The steps are StenCE's (arXiv 2606.02605): clip to 4 standard deviations, subtract an asymmetric-least-squares
baseline, z-score the lead groups I-III, aVR-aVF and V1-V6.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from stence.ecg.baseline import subtract_baseline
from stence.ecg.compiled import compiled
from stence.ecg.recording import LEADS
from stence.ecg.resampling import SAMPLING_RATE

if TYPE_CHECKING:
    from torch import Tensor

    Signal = TypeVar("Signal", NDArray[np.float32], Tensor)

PREPROCESSING_VERSION = "stence-500hz-3s-1"
"""Changes whenever the same ECG would come out differently; models are only used with the version they were
trained on."""
WINDOW_SAMPLES = 3 * SAMPLING_RATE
CLIP_AT = 4.0
"""Standard deviations of the whole 12-lead array."""
GROUPS = ((0, 3), (3, 6), (6, 12))
"""First lead and end of the groups that are normalised together."""
EPSILON = 1e-12


def preprocess(signal: Signal) -> Signal:
    """Preprocess ECGs in millivolts (..., 12, n) at 500 Hz -> float32 of the same shape, without unit.

    An array gives an array; a tensor gives a tensor on its device. NaN counts as 0. Raises ValueError for
    another number of leads or no samples.
    """
    if signal.ndim < 2 or signal.shape[-2] != len(LEADS) or signal.shape[-1] == 0:
        raise ValueError(f"expected ECGs (..., {len(LEADS)}, samples), got {tuple(signal.shape)}")
    if isinstance(signal, np.ndarray):
        return _preprocess_array(signal)
    return _preprocess_tensor(signal)


def _preprocess_tensor(signal: Tensor) -> Tensor:
    import torch  # only with a tensor at hand: it takes seconds  # noqa: PLC0415

    from stence.ecg import preprocessing_torch  # noqa: PLC0415

    if signal.device.type == "cpu":
        return torch.from_numpy(_preprocess_array(signal.detach().numpy()))
    return preprocessing_torch.preprocess(signal)


def _preprocess_array(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    ecgs = np.array(signal, dtype=np.float32, order="C").reshape(-1, *signal.shape[-2:])
    _clip(ecgs)
    subtract_baseline(ecgs.reshape(-1, ecgs.shape[-1]))
    for first, end in GROUPS:
        _normalise(ecgs, first, end)
    return ecgs.reshape(signal.shape)


@compiled
def _clip(ecgs: NDArray[np.float32]) -> None:
    """NaN -> 0, then clip each ECG of (ecgs, 12, n) to +-CLIP_AT of its standard deviations; in place."""
    for index in range(len(ecgs)):
        samples = ecgs[index].reshape(-1)
        for i in range(samples.size):
            samples[i] = 0 if math.isnan(samples[i]) else samples[i]
        limit = np.float32(CLIP_AT * math.sqrt(_mean_and_variance(samples)[1]))
        for i in range(samples.size):
            samples[i] = min(max(samples[i], -limit), limit)


@compiled
def _normalise(ecgs: NDArray[np.float32], first: int, end: int) -> None:
    """Mean 0 and variance 1 for the leads ``first`` to ``end`` (excluded) together; in place."""
    for index in range(len(ecgs)):
        samples = ecgs[index, first:end].reshape(-1)
        mean, variance = _mean_and_variance(samples)
        scale = 1 / math.sqrt(variance + EPSILON)
        for i in range(samples.size):
            samples[i] = (samples[i] - mean) * scale


@compiled
def _mean_and_variance(samples: NDArray[np.float32]) -> tuple[float, float]:
    total = 0.0
    for i in range(samples.size):
        total += samples[i]
    mean = total / samples.size
    squares = 0.0
    for i in range(samples.size):
        squares += (samples[i] - mean) ** 2
    return mean, squares / samples.size
