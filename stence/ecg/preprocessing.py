"""StenCE's preprocessing of a window at 500 Hz (arXiv 2606.02605).

Clip to 4 standard deviations, subtract an asymmetric-least-squares baseline, z-score the lead groups I-III,
aVR-aVF and V1-V6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from stence.ecg import preprocessing_array
from stence.ecg.recording import LEADS
from stence.ecg.resampling import SAMPLING_RATE

if TYPE_CHECKING:
    from torch import Tensor

    Signal = TypeVar("Signal", NDArray[np.float32], Tensor)

PREPROCESSING_VERSION = "stence-500hz-3s-1"
"""Version of the preprocessing. It changes whenever the result for the same ECG changes. A model is only used
with the version of its training."""
WINDOW_SAMPLES = 3 * SAMPLING_RATE


def preprocess(signal: Signal) -> Signal:
    """Preprocess ECGs in millivolts (..., 12, n) at 500 Hz -> float32 of the same shape, without unit.

    An array gives an array. A tensor gives a tensor on the same device. NaN counts as 0. Raises ValueError
    for another number of leads or no samples.

    >>> ecgs = np.random.default_rng(0).normal(size=(2, 12, WINDOW_SAMPLES)).astype(np.float32)
    >>> preprocess(ecgs).shape, preprocess(ecgs)[0, :3].std().round(3).item()
    ((2, 12, 1500), 1.0)
    """
    if signal.ndim < 2 or signal.shape[-2] != len(LEADS) or signal.shape[-1] == 0:
        raise ValueError(f"expected ECGs (..., {len(LEADS)}, samples), got {tuple(signal.shape)}")
    if isinstance(signal, np.ndarray):
        return preprocessing_array.preprocess(signal)
    return _preprocess_tensor(signal)


def _preprocess_tensor(signal: Tensor) -> Tensor:
    import torch  # imported only for tensors: the import takes seconds  # noqa: PLC0415

    from stence.ecg import preprocessing_torch  # noqa: PLC0415

    if signal.device.type == "cpu":
        return torch.from_numpy(preprocessing_array.preprocess(signal.detach().numpy()))
    return preprocessing_torch.preprocess(signal)
