"""The calibration pulse of 1 mV that Philips electrocardiographs append to every lead."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ALIKE = 0.02
"""Largest difference between leads in the pulse, in mV: two steps of rounding each way."""
_PULSE = 0.9


def without_pulse(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the leads (k, n) in mV up to the end where all have one value, if a pulse of 1 mV is in it."""
    differ = np.flatnonzero(np.ptp(signal, axis=0) > _ALIKE)
    end = int(differ[-1]) + 1 if differ.size else signal.shape[1]
    has_pulse = (signal[0, end:] > _PULSE).any()
    return signal[:, :end] if has_pulse else signal
