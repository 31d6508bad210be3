"""Beats of an ECG, found in the median lead: artefacts in a few leads neither add nor hide any."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.ecg.arrays import block_means, sort_columns
from stence.ecg.compiled import compiled

MIN_CONTRAST = 1.6
"""Smallest ratio of the 98th percentile of the sharpness to its median for beats; a lower one is noise."""
_RATE = 100.0
"""Approximate rate in Hz of the means over blocks of samples in which beats are found."""
_THRESHOLD = 0.5
"""Share of the 98th percentile. Flutter waves stay below it."""
_SLOPE_SECONDS, _SMOOTH_SECONDS, _REFRACTORY_SECONDS = 0.04, 0.07, 0.25
MIN_BEATS = 3
QRS_SECONDS, LEVEL_SECONDS = 0.08, 0.04
"""Half width of the search for a beat's extremes, and length of the reference level before that window."""


class Beats(NamedTuple):
    """Beats of one recording, in means over blocks of about 10 ms."""

    blocks: NDArray[np.float32]
    """Means of the leads (leads, blocks)."""
    rate: float
    """Blocks per second."""
    middles: NDArray[np.float64]
    """Middle of each QRS complex, in blocks from the start."""

    @property
    def positions(self) -> NDArray[np.int64]:
        """Block of each middle."""
        return np.round(self.middles).astype(np.int64)

    @property
    def heart_rate(self) -> float | None:
        """Beats per minute from the median interval; None for fewer than ``MIN_BEATS`` beats."""
        if len(self.middles) < MIN_BEATS:
            return None
        return float(60 * self.rate / np.median(np.diff(self.middles)))


def find_beats(clean: NDArray[np.float32], sampling_rate: float) -> Beats:
    """Find the beats in leads (leads, samples) without offset and without invalid samples."""
    block = max(1, round(sampling_rate / _RATE))
    rate = sampling_rate / block
    slope, smooth, refractory = (
        max(1, round(seconds * rate)) for seconds in (_SLOPE_SECONDS, _SMOOTH_SECONDS, _REFRACTORY_SECONDS)
    )
    blocks = block_means(clean, block)
    sharpness = _sharpness(blocks, slope, smooth)
    peaks = _peaks(sharpness, _threshold(sharpness), refractory)
    return Beats(blocks, rate, peaks + (2 * slope + 1 + smooth) / 2)


def _threshold(sharpness: NDArray[np.float32]) -> float:
    """Return the height of a beat from the 98th percentile; infinity if that is not above the noise."""
    if not len(sharpness):
        return np.inf
    ranks = [len(sharpness) // 2, len(sharpness) * 49 // 50]
    usual, sharpest = np.partition(sharpness, ranks)[ranks].tolist()
    return _THRESHOLD * sharpest if sharpest > MIN_CONTRAST * usual else np.inf


@compiled
def _sharpness(blocks: NDArray[np.float32], slope: int, smooth: int) -> NDArray[np.float32]:
    """Return the smoothed sharpness of the median lead: second differences relative to each lead's mean.

    Second differences over 40 ms are largest at 12 Hz, the frequency of QRS complexes. At 3 Hz, the frequency
    of T waves, they are a seventh of that. Two blocks last 20 ms at 100 Hz, so mains hum of 50 Hz cancels.
    """
    leads, count = blocks.shape
    turns = np.zeros((leads, max(0, count - 2 * slope - 1)), dtype=np.float32)
    for lead in range(leads):
        means, middle, after, turned = (
            blocks[lead],
            blocks[lead, slope:],
            blocks[lead, 2 * slope :],
            turns[lead],
        )
        total = np.float32(0)
        for i in range(len(turned)):
            turned[i] = abs(
                means[i] + means[i + 1] + after[i] + after[i + 1] - 2 * (middle[i] + middle[i + 1])
            )
            total += turned[i]
        scale = len(turned) / total if total > 0 else np.float32(0)
        for i in range(len(turned)):
            turned[i] *= scale
    sort_columns(turns)
    lower, upper = turns[(leads - 1) // 2], turns[leads // 2]
    sharpness = np.zeros(max(0, turns.shape[1] - smooth + 1), dtype=np.float32)
    for j in range(smooth):
        for i in range(len(sharpness)):
            sharpness[i] += lower[i + j] + upper[i + j]
    return sharpness


@compiled
def _peaks(sharpness: NDArray[np.float32], threshold: float, refractory: int) -> NDArray[np.float64]:
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
def qrs_extremes(
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
