"""Measurements of every ECG for input drift detection: QRS amplitudes, noise, heart rate.

They are no diagnosis. They follow changes of gain, leads and noise directly, and cost little compared with
``prepare``. ``stence.ecg.quality`` decides if an ECG is used at all.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.ecg.compiled import compiled
from stence.ecg.recording import Recording

NOISE_FROM = 40.0
"""Hz. Muscle noise, mains noise and the recorder's filter act above it. Little of an ECG lies there."""
MIN_BEATS = 3
MIN_CONTRAST = 2.0
"""Smallest ratio of the 98th percentile of the sharpness to its median for beats; a lower one is noise."""
_NOISE_FILTER_SECONDS = 0.05
_NOISE_WINDOW_SECONDS = 0.1
_SHARPNESS_RATE = 100.0
"""Approximate rate in Hz of the sharpness signal, which is computed from means over blocks of samples."""
_SLOPE_SECONDS, _SMOOTH_SECONDS, _REFRACTORY_SECONDS = 0.04, 0.07, 0.25
_QRS_SECONDS, _LEVEL_SECONDS = 0.08, 0.04
"""Half width of the search for a beat's extremes, and length of the reference level before that window."""
_LARGEST = np.float32(np.finfo(np.float32).max)


class Profile(NamedTuple):
    """Measurements of one ECG; arrays (12,) in the order of ``LEADS``."""

    heart_rate: float | None
    """Beats per minute, from the median interval; None if no beats were found."""
    r_mv: NDArray[np.float64]
    """Height of the QRS complex above the level before it, median over beats."""
    s_mv: NDArray[np.float64]
    """Depth of the QRS complex below that level, median over beats."""
    noise_uv: NDArray[np.float64]
    """RMS of the signal above ``NOISE_FROM``, median over windows inside and outside of beats."""


def profile(recording: Recording) -> Profile:
    """Measure a recording of at least one second at 100 Hz or more.

    Invalid samples count as the lead's mean. If no beats are found, the extremes of each second replace the
    extremes of beats.

    >>> flat = Recording(np.zeros((12, 5000), np.float32), sampling_rate=500)
    >>> profile(flat).heart_rate is None, profile(flat).noise_uv.max().item()
    (True, 0.0)
    """
    rate = recording.sampling_rate
    clean = _clean(np.ascontiguousarray(recording.signal))
    block = max(1, round(rate / _SHARPNESS_RATE))
    slope, smooth, refractory = (
        max(1, round(seconds * rate / block))
        for seconds in (_SLOPE_SECONDS, _SMOOTH_SECONDS, _REFRACTORY_SECONDS)
    )
    sharpness = _sharpness(clean, block, slope, smooth)
    beats = _beats(sharpness, _threshold(sharpness), refractory)
    noise = 1000 * _noise(clean, _noise_filter(rate), round(_NOISE_WINDOW_SECONDS * rate))
    if len(beats) < MIN_BEATS:
        second = round(rate)
        middles = np.arange(second // 2, clean.shape[1] - second // 2 + 1, second)
        return Profile(None, *_extremes(clean, middles, second // 2, 0), noise)
    offset = (2 * slope + 2 + smooth - 1) / 2
    middles = np.round((beats + offset) * block).astype(np.int64)
    extremes = _extremes(clean, middles, round(_QRS_SECONDS * rate), round(_LEVEL_SECONDS * rate))
    return Profile(60 * rate / (block * _median_step(beats)), *extremes, noise)


@lru_cache(maxsize=16)
def _noise_filter(rate: float) -> NDArray[np.float32]:
    """Return a symmetric high-pass filter of odd length that removes every offset.

    It is ``scipy.signal.firwin(taps, NOISE_FROM, pass_zero=False, fs=rate)``, whose import takes a second.
    """
    taps = 2 * round(_NOISE_FILTER_SECONDS * rate / 2) + 1
    times, cutoff = np.arange(taps) - (taps - 1) / 2, 2 * NOISE_FROM / rate
    hamming = 0.54 + 0.46 * np.cos(np.linspace(-np.pi, np.pi, taps))
    kernel = (np.sinc(times) - cutoff * np.sinc(cutoff * times)) * hamming
    kernel /= (kernel * np.cos(np.pi * times)).sum()
    return (kernel - kernel.mean()).astype(np.float32)


def _threshold(sharpness: NDArray[np.float32]) -> float:
    """Return 0.4 times the 98th percentile, which lies in beats; infinity if it is not above the noise."""
    if not len(sharpness):
        return np.inf
    ranks = (len(sharpness) // 2, len(sharpness) * 49 // 50)
    usual, sharpest = np.partition(sharpness, ranks)[list(ranks)]
    return 0.4 * float(sharpest) if sharpest > MIN_CONTRAST * usual else np.inf


@compiled
def _clean(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the leads minus their means. Samples that are not finite become 0."""
    clean = np.empty(signal.shape, dtype=np.float32)
    for lead in range(signal.shape[0]):
        values, centred = signal[lead], clean[lead]
        total, finite = np.float32(0), 0
        for i in range(len(values)):
            valid = abs(values[i]) <= _LARGEST
            total += values[i] if valid else np.float32(0)
            finite += valid
        mean = np.float32(total / max(1, finite))
        for i in range(len(values)):
            centred[i] = values[i] - mean if abs(values[i]) <= _LARGEST else np.float32(0)
    return clean


@compiled
def _sharpness(clean: NDArray[np.float32], block: int, slope: int, smooth: int) -> NDArray[np.float32]:
    """Return the sharpness of all leads together: the smoothed norm of their second differences.

    Second differences over 40 ms are largest at 12 Hz, the frequency of QRS complexes. At 3 Hz, the frequency
    of T waves, they are a seventh of that. Two blocks last 20 ms at 100 Hz, so mains hum of 50 Hz cancels.
    """
    count = clean.shape[1] // block
    squares = np.zeros(max(0, count - 2 * slope - 1), dtype=np.float32)
    means = np.empty(count, dtype=np.float32)
    for lead in range(clean.shape[0]):
        blocks = clean[lead, : count * block].reshape(count, block)
        means[:] = 0
        for j in range(block):
            for i in range(count):
                means[i] += blocks[i, j] / np.float32(block)
        middle, after = means[slope:], means[2 * slope :]
        for i in range(len(squares)):
            turned = means[i] + means[i + 1] + after[i] + after[i + 1] - 2 * (middle[i] + middle[i + 1])
            squares[i] += turned * turned
    lengths = np.sqrt(squares)
    sharpness = np.zeros(max(0, len(squares) - smooth + 1), dtype=np.float32)
    for j in range(smooth):
        part = lengths[j:]
        for i in range(len(sharpness)):
            sharpness[i] += part[i]
    return sharpness


@compiled
def _beats(sharpness: NDArray[np.float32], threshold: float, refractory: int) -> NDArray[np.float64]:
    """Return positions of peaks above the threshold, interpolated; the highest within ``refractory`` only."""
    peaks = [0 for _ in range(0)]
    for i in range(1, len(sharpness) - 1):
        if sharpness[i] < threshold or sharpness[i] < sharpness[i - 1] or sharpness[i] <= sharpness[i + 1]:
            continue
        if not peaks or i - peaks[-1] >= refractory:
            peaks.append(i)
        elif sharpness[i] > sharpness[peaks[-1]]:
            peaks[-1] = i
    beats = np.empty(len(peaks))
    for n in range(len(peaks)):
        before, top, after = sharpness[peaks[n] - 1], sharpness[peaks[n]], sharpness[peaks[n] + 1]
        beats[n] = peaks[n] + 0.5 * (before - after) / (before - 2 * top + after)
    return beats


@compiled
def _median_step(beats: NDArray[np.float64]) -> float:
    """Return the median distance of neighbouring beats."""
    return float(np.median(beats[1:] - beats[:-1]))


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
def _noise(clean: NDArray[np.float32], kernel: NDArray[np.float32], window: int) -> NDArray[np.float64]:
    """Return the RMS (leads,) of the filtered leads, as median over windows."""
    leads, samples = clean.shape
    last = len(kernel) - 1
    # Every fourth window suffices: in ten seconds it gives the noise within a few percent.
    starts = np.arange(0, samples - last - window + 1, 4 * window)
    count = len(starts)
    noise, spread = np.zeros(leads), np.empty(count)
    passed = np.empty(window, dtype=np.float32)
    for lead in range(leads):
        for n in range(count):
            part = clean[lead, starts[n] : starts[n] + window + last]
            _filter(part, kernel, passed)
            squares = np.float32(0)
            for i in range(window):
                squares += passed[i] * passed[i]
            spread[n] = np.sqrt(squares / window)
        if count:
            noise[lead] = np.median(spread)
    return noise
