"""Resample any sampling rate to 500 Hz, the rate of all models."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

SAMPLING_RATE = 500
"""Sampling rate in Hz of all model inputs before a recipe."""
LARGEST_FACTOR = 1000
"""Largest denominator of the fraction for 500 Hz / rate. The error of a duration of 10 s is below 5 ms."""
FILTER_WINDOW = ("kaiser", 7.0)
"""Attenuation of about 70 dB. An offset of 5 mV causes a ripple below one microvolt."""


def resample(signal: NDArray[np.float32], rate: float) -> NDArray[np.float32]:
    """Resample leads (12, n) from ``rate`` Hz to 500 Hz -> float32 (12, ceil(n * 500 / rate)).

    The polyphase filter has linear phase. Antireflective padding prevents ringing of offsets and drifts at
    both ends. Invalid samples (NaN) count as 0, as in ``preprocess``. A signal at 500 Hz is returned
    unchanged.

    >>> resample(np.zeros((12, 2500), np.float32), rate=250).shape
    (12, 5000)
    """
    if rate == SAMPLING_RATE:
        return signal
    from scipy.signal import resample_poly  # noqa: PLC0415 - the import takes a second

    ratio = Fraction(SAMPLING_RATE / rate).limit_denominator(LARGEST_FACTOR)
    whole = np.nan_to_num(signal, nan=0.0)
    resampled = resample_poly(  # type: ignore[call-overload]  # scipy's stubs lack this padtype
        whole, ratio.numerator, ratio.denominator, axis=1, window=FILTER_WINDOW, padtype="antireflect"
    )
    return np.ascontiguousarray(resampled, dtype=np.float32)
