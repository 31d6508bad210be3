"""Any sampling rate to the 500 Hz that models are trained on."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

SAMPLING_RATE = 500
"""Hz of everything a model sees."""
LARGEST_FACTOR = 1000
"""500 Hz / rate is taken as a fraction with a denominator up to this: 10 s come out right within 5 ms."""
FILTER_WINDOW = ("kaiser", 7.0)
"""About 70 dB: an offset of 5 mV leaves a ripple below a microvolt."""


def resample(signal: NDArray[np.float32], rate: float) -> NDArray[np.float32]:
    """Resample leads (12, n) from ``rate`` Hz to 500 Hz -> float32 (12, ceil(n * 500 / rate)).

    Polyphase filter of linear phase. Leads go on past their ends turned about the first or last sample, so
    that offsets and drifts do not ring there. Invalid samples (NaN) count as 0, as in ``preprocess``. A
    signal at 500 Hz is returned as it is.
    """
    if rate == SAMPLING_RATE:
        return signal
    ratio = Fraction(SAMPLING_RATE / rate).limit_denominator(LARGEST_FACTOR)
    whole = np.nan_to_num(signal, nan=0.0)
    resampled = resample_poly(  # type: ignore[call-overload]  # scipy's stubs lack this padtype
        whole, ratio.numerator, ratio.denominator, axis=1, window=FILTER_WINDOW, padtype="antireflect"
    )
    return np.ascontiguousarray(resampled, dtype=np.float32)
