"""StenCE's preprocessing of a window at 500 Hz (arXiv 2606.02605), in compiled code, one ECG after the other.

Clip to 4 standard deviations, subtract an asymmetric-least-squares baseline, z-score the lead groups I-III,
aVR-aVF and V1-V6. It runs on the CPU, beside a GPU as well: a core prepares thousands of windows a second,
so a few cores feed the card.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stence.ecg.baseline import subtract_baseline
from stence.ecg.compiled import compiled
from stence.ecg.recording import LEADS
from stence.ecg.resampling import SAMPLING_RATE

PREPROCESSING_VERSION = "stence-500hz-3s-1"
"""Version of the preprocessing. It changes whenever the result for the same ECG changes. A model is only used
with the version of its training."""
WINDOW_SAMPLES = 3 * SAMPLING_RATE
CLIP_AT = 4.0
"""Standard deviations of the whole 12-lead array."""
GROUPS = ((0, 3), (3, 6), (6, 12))
"""Lead groups that are normalised together: first lead, and end (excluded)."""
EPSILON = 1e-12


def preprocess(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Preprocess ECGs in millivolts (..., 12, n) at 500 Hz -> float32 of the same shape, without unit.

    NaN counts as 0. Raises ValueError for another number of leads or no samples.

    >>> ecgs = np.random.default_rng(0).normal(size=(2, 12, WINDOW_SAMPLES)).astype(np.float32)
    >>> preprocess(ecgs).shape, preprocess(ecgs)[0, :3].std().round(3).item()
    ((2, 12, 1500), 1.0)
    """
    if signal.ndim < 2 or signal.shape[-2] != len(LEADS) or signal.shape[-1] == 0:
        raise ValueError(f"expected ECGs (..., {len(LEADS)}, samples), got {tuple(signal.shape)}")
    ecgs = np.array(signal, dtype=np.float32, order="C").reshape(-1, *signal.shape[-2:])
    preprocess_in_place(ecgs)
    return ecgs.reshape(signal.shape)


def preprocess_in_place(ecgs: NDArray[np.float32]) -> None:
    """Preprocess contiguous ECGs (ecgs, 12, n) in millivolts at 500 Hz, in place."""
    _clip(ecgs)
    subtract_baseline(ecgs.reshape(-1, ecgs.shape[-1]))
    for first, end in GROUPS:
        _normalise(ecgs, first, end)


@compiled
def _clip(ecgs: NDArray[np.float32]) -> None:
    """Replace NaN by 0, then clip each ECG of (ecgs, 12, n) to +-CLIP_AT standard deviations, in place."""
    for index in range(len(ecgs)):
        samples = ecgs[index].reshape(-1)
        for i in range(samples.size):
            samples[i] = 0 if math.isnan(samples[i]) else samples[i]
        limit = np.float32(CLIP_AT * math.sqrt(_mean_and_variance(samples)[1]))
        for i in range(samples.size):
            samples[i] = min(max(samples[i], -limit), limit)


@compiled
def _normalise(ecgs: NDArray[np.float32], first: int, end: int) -> None:
    """Scale leads ``first`` to ``end`` (excluded) together to mean 0 and variance 1, in place."""
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
