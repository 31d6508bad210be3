"""Noise of each lead above the frequencies of an ECG: muscle noise, mains noise and the recorder's own."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stence.ecg.compiled import compiled

NOISE_FROM = 40.0
"""Hz. Muscle noise, mains noise and the recorder's filter act above it. Little of an ECG lies there."""
WINDOW_SECONDS = 0.1
STRIDE = 4
"""Every fourth window suffices: in ten seconds it gives the noise within a few percent."""
_FILTER_SECONDS = 0.05


def noise_windows(clean: NDArray[np.float32], rate: float) -> NDArray[np.float32]:
    """Return the RMS (leads, windows) of leads above ``NOISE_FROM``, in every fourth window of 0.1 s."""
    return _windows(clean, _high_pass(rate), round(WINDOW_SECONDS * rate))


@lru_cache(maxsize=16)
def _high_pass(rate: float) -> NDArray[np.float32]:
    """Return a symmetric high-pass filter of odd length that removes every offset.

    It is ``scipy.signal.firwin(taps, NOISE_FROM, pass_zero=False, fs=rate)``, whose import takes a second.
    """
    taps = 2 * round(_FILTER_SECONDS * rate / 2) + 1
    times, cutoff = np.arange(taps) - (taps - 1) / 2, 2 * NOISE_FROM / rate
    hamming = 0.54 + 0.46 * np.cos(np.linspace(-np.pi, np.pi, taps))
    kernel = (np.sinc(times) - cutoff * np.sinc(cutoff * times)) * hamming
    kernel /= (kernel * np.cos(np.pi * times)).sum()
    return (kernel - kernel.mean()).astype(np.float32)


@compiled
def _filter(values: NDArray[np.float32], kernel: NDArray[np.float32], into: NDArray[np.float32]) -> None:
    """Apply a symmetric filter (taps,) to values (n + taps - 1,), and write the result to ``into`` (n,)."""
    count, last = len(into), len(kernel) - 1
    middle = values[last // 2 : last // 2 + count]
    for i in range(count):
        into[i] = kernel[last // 2] * middle[i]
    for j in range(last // 2):
        weight, early, late = kernel[j], values[j : j + count], values[last - j : last - j + count]
        for i in range(count):
            into[i] += weight * (early[i] + late[i])


@compiled
def _windows(clean: NDArray[np.float32], kernel: NDArray[np.float32], window: int) -> NDArray[np.float32]:
    leads, samples = clean.shape
    last = len(kernel) - 1
    starts = np.arange(0, samples - last - window + 1, STRIDE * window)
    rms = np.empty((leads, len(starts)), dtype=np.float32)
    passed = np.empty(window, dtype=np.float32)
    for lead in range(leads):
        for n in range(len(starts)):
            part = clean[lead, starts[n] : starts[n] + window + last]
            _filter(part, kernel, passed)
            squares = np.float32(0)
            for i in range(window):
                squares += passed[i] * passed[i]
            rms[lead, n] = np.sqrt(squares / window)
    return rms
