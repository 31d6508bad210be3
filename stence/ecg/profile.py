"""Measurements of every ECG for input drift detection: QRS amplitudes, noise, heart rate.

They are no diagnosis. They follow changes of gain, leads and noise directly, and cost little compared with
``prepare``. ``stence.ecg.quality`` decides if an ECG is used at all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.ecg.analysis import analyse
from stence.ecg.beats import LEVEL_SECONDS, QRS_SECONDS, qrs_extremes
from stence.ecg.compiled import compiled
from stence.ecg.recording import Recording


class Profile(NamedTuple):
    """Measurements of one ECG; arrays (12,) in the order of ``LEADS``."""

    heart_rate: float | None
    """Beats per minute, from the median interval; None if no beats were found."""
    r_mv: NDArray[np.float64]
    """Height of the QRS complex above the level before it, median over beats."""
    s_mv: NDArray[np.float64]
    """Depth of the QRS complex below that level, median over beats."""
    noise_uv: NDArray[np.float64]
    """RMS above ``stence.ecg.noise.NOISE_FROM``, median over windows inside and outside of beats."""


def profile(recording: Recording) -> Profile:
    """Measure a recording of at least one second at 100 Hz or more.

    Invalid samples count as the lead's mean. If no beats are found, the extremes of each second replace the
    extremes of beats.

    >>> flat = Recording(np.zeros((12, 5000), np.float32), sampling_rate=500)
    >>> profile(flat).heart_rate is None, profile(flat).noise_uv.max().item()
    (True, 0.0)
    """
    rate = recording.sampling_rate
    clean, beats, windows = analyse(recording)
    noise = 1000 * _usual_noise(windows)
    heart_rate = beats.heart_rate
    if heart_rate is None:
        second = round(rate)
        middles = np.arange(second // 2, clean.shape[1] - second // 2 + 1, second)
        return Profile(None, *qrs_extremes(clean, middles, second // 2, 0), noise)
    middles = np.round(beats.middles * rate / beats.rate).astype(np.int64)
    extremes = qrs_extremes(clean, middles, round(QRS_SECONDS * rate), round(LEVEL_SECONDS * rate))
    return Profile(heart_rate, *extremes, noise)


@compiled
def _usual_noise(windows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the noise (leads,) in millivolts as median over windows; 0 for a recording without a window."""
    noise = np.zeros(len(windows))
    for lead in range(len(windows)):
        if windows.shape[1]:
            noise[lead] = np.median(windows[lead])
    return noise
