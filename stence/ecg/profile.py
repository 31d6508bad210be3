"""Measurements of every ECG for input drift detection: QRS amplitudes, noise, heart rate.

They are no diagnosis. They follow changes of gain, leads and noise directly, and cost little compared with
``prepare``. ``stence.ecg.quality`` decides if an ECG is used at all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.ecg.arrays import centred
from stence.ecg.beats import find_beats
from stence.ecg.compiled import compiled
from stence.ecg.noise import noise_windows
from stence.ecg.recording import Recording

MIN_BEATS = 3
_QRS_SECONDS, _LEVEL_SECONDS = 0.08, 0.04
"""Half width of the search for a beat's extremes, and length of the reference level before that window."""


class Profile(NamedTuple):
    """Measurements of one ECG; arrays (12,) in the order of ``LEADS``."""

    heart_rate: float | None
    """Beats per minute, from the median interval; None if no beats were found."""
    r_mv: NDArray[np.float64]
    """Height of the QRS complex above the level before it, median over beats."""
    s_mv: NDArray[np.float64]
    """Depth of the QRS complex below that level, median over beats."""
    noise_uv: NDArray[np.float64]
    """RMS of the signal above ``stence.ecg.noise.NOISE_FROM``, median over windows inside and outside of beats."""


def profile(recording: Recording) -> Profile:
    """Measure a recording of at least one second at 100 Hz or more.

    Invalid samples count as the lead's mean. If no beats are found, the extremes of each second replace the
    extremes of beats.

    >>> flat = Recording(np.zeros((12, 5000), np.float32), sampling_rate=500)
    >>> profile(flat).heart_rate is None, profile(flat).noise_uv.max().item()
    (True, 0.0)
    """
    rate = recording.sampling_rate
    clean = centred(np.ascontiguousarray(recording.signal))
    beats = find_beats(clean, rate)
    noise = 1000 * _usual_noise(clean, rate)
    heart_rate = beats.heart_rate(MIN_BEATS)
    if heart_rate is None:
        second = round(rate)
        middles = np.arange(second // 2, clean.shape[1] - second // 2 + 1, second)
        return Profile(None, *_extremes(clean, middles, second // 2, 0), noise)
    middles = np.round(beats.middles * rate / beats.rate).astype(np.int64)
    extremes = _extremes(clean, middles, round(_QRS_SECONDS * rate), round(_LEVEL_SECONDS * rate))
    return Profile(heart_rate, *extremes, noise)


def _usual_noise(clean: NDArray[np.float32], rate: float) -> NDArray[np.float64]:
    """Return the noise (leads,) in millivolts as median over windows; 0 for a recording without a window."""
    windows = noise_windows(clean, rate)
    if not windows.shape[1]:
        return np.zeros(len(clean))
    return np.median(windows, axis=1).astype(np.float64)


@compiled
def _extremes(
    clean: NDArray[np.float32], middles: NDArray[np.int64], reach: int, level: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return heights and depths (leads,) within ``reach`` of the middles, as medians over complete windows.

    The reference is the mean of the ``level`` samples before each window; with ``level`` 0 the window's mean.
    """
    leads, samples = clean.shape
    there = middles[(middles - reach - level >= 0) & (middles + reach <= samples)]
    highs, lows = np.zeros(leads), np.zeros(leads)
    high, low = np.empty(len(there)), np.empty(len(there))
    for lead in range(leads):
        values = clean[lead]
        for n in range(len(there)):
            first, end = there[n] - reach, there[n] + reach
            start, stop = (first - level, first) if level else (first, end)
            total, highest, lowest = np.float32(0), np.float32(-np.inf), np.float32(np.inf)
            for i in range(start, stop):
                total += values[i]
            for i in range(first, end):
                highest, lowest = max(highest, values[i]), min(lowest, values[i])
            mean = total / (stop - start)
            high[n], low[n] = max(highest - mean, 0.0), max(mean - lowest, 0.0)
        if len(there):
            highs[lead], lows[lead] = np.median(high), np.median(low)
    return highs, lows
