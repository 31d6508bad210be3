"""StenCE's preparation of a window at 500 Hz: clipped, free of wander, normalised by group.

The steps are StenCE's (arXiv 2606.02605): clip to 4 standard deviations, subtract an asymmetric-least-squares
baseline, z-score the lead groups I-III, aVR-aVF and V1-V6.
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
"""Changes whenever the same ECG would come out differently; models are only used with the version they were
trained on."""
WINDOW_SAMPLES = 3 * SAMPLING_RATE


def preprocess(signal: Signal) -> Signal:
    """Preprocess ECGs in millivolts (..., 12, n) at 500 Hz -> float32 of the same shape, without unit.

    An array gives an array; a tensor gives a tensor on its device. NaN counts as 0. Raises ValueError for
    another number of leads or no samples.
    """
    if signal.ndim < 2 or signal.shape[-2] != len(LEADS) or signal.shape[-1] == 0:
        raise ValueError(f"expected ECGs (..., {len(LEADS)}, samples), got {tuple(signal.shape)}")
    if isinstance(signal, np.ndarray):
        return preprocessing_array.preprocess(signal)
    return _preprocess_tensor(signal)


def _preprocess_tensor(signal: Tensor) -> Tensor:
    import torch  # only with a tensor at hand: it takes seconds  # noqa: PLC0415

    from stence.ecg import preprocessing_torch  # noqa: PLC0415

    if signal.device.type == "cpu":
        return torch.from_numpy(preprocessing_array.preprocess(signal.detach().numpy()))
    return preprocessing_torch.preprocess(signal)
