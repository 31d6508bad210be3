"""What the quality check measures in each lead, in a few passes over the samples."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.ecg.compiled import compiled
from stence.ecg.recording import LEADS, Recording

MAINS_HZ = (50.0, 60.0)
_LARGEST = np.float32(np.finfo(np.float32).max)
_REVERSAL_LAG_SECONDS = 0.04
"""Differences over so long keep QRS and T wave and lose baseline wander."""
_I, _V6 = LEADS.index("I"), LEADS.index("V6")


class Measures(NamedTuple):
    """One number a lead (12,), but for the last three. Millivolts; shares are of all samples."""

    invalid_share: NDArray[np.float64]
    """Samples that are NaN."""
    span: NDArray[np.float64]
    """Highest minus lowest sample."""
    amplitude: NDArray[np.float64]
    """Largest distance from the mean."""
    frozen_seconds: NDArray[np.float64]
    """Longest stretch of one repeated value, if it lasts ``run`` or longer; else 0."""
    clipped_share: NDArray[np.float64]
    """Samples that repeat the highest or the lowest value, where that lies ``rail`` or more from the mean."""
    wander: NDArray[np.float64]
    """Range of the means over whole seconds."""
    mains: NDArray[np.float64]
    """Amplitude at the mains frequency, mean over seconds; the stronger of ``MAINS_HZ``."""
    i_v6_correlation: float
    """Of the slopes of leads I and V6: -1 to 1."""
    contradiction: float
    """How far III, aVR, aVL and aVF, whichever farthest, are from what I and II give: slopes of the
    difference, over those of I or II, the larger (root mean squares)."""
    copied: tuple[str, str] | None
    """The first two leads that are equal in every sample and not flat, if any."""


def measure(recording: Recording, run: float, rail: float) -> Measures:
    """Measure a recording of at least a second; ``run`` in seconds, ``rail`` in millivolts."""
    rate = recording.sampling_rate
    signal = np.ascontiguousarray(recording.signal)
    lag = max(1, round(_REVERSAL_LAG_SECONDS * rate))
    table, correlation, contradiction = _measure(
        signal, round(rate), max(2, round(run * rate)), rail, lag, _mains_waves(rate)
    )
    invalid, span, amplitude, frozen, clipped, wander, mains = table
    one, other = _copied(signal)
    copied = (LEADS[one], LEADS[other]) if other and span[one] > 0 else None
    per_lead = (invalid, span, amplitude, frozen / rate, clipped, wander, mains)
    return Measures(*per_lead, correlation, contradiction, copied)


@lru_cache(maxsize=16)
def _mains_waves(rate: float) -> NDArray[np.float32]:
    """Cosine and sine of each mains frequency over a second; none of those that the rate cannot show."""
    time = np.arange(round(rate)) / rate
    shown = [frequency for frequency in MAINS_HZ if rate > 2.2 * frequency]
    phases = [2 * np.pi * frequency * time for frequency in shown]
    waves = [wave(phase) for phase in phases for wave in (np.cos, np.sin)]
    return np.array(waves, dtype=np.float32).reshape(len(waves), len(time))


@compiled
def _measure(
    signal: NDArray[np.float32], second: int, run: int, rail: float, lag: int, waves: NDArray[np.float32]
) -> tuple[NDArray[np.float64], float, float]:
    leads, samples = signal.shape
    table = np.zeros((7, leads))
    clean = np.empty(signal.shape, dtype=np.float32)
    for lead in range(leads):
        values = signal[lead]
        invalid, mean, lowest, highest = _extent(values)
        table[0, lead] = invalid / samples
        table[1, lead] = highest - lowest
        table[2, lead] = max(highest - mean, mean - lowest)
        table[3, lead] = _longest_run(values, run)
        for level in (lowest, highest):
            if abs(level - mean) >= rail:
                table[4, lead] = max(table[4, lead], _repeats(values, np.float32(level)) / samples)
        centred, centre = clean[lead], np.float32(mean)
        for i in range(samples):
            centred[i] = values[i] - centre if abs(values[i]) <= _LARGEST else np.float32(0)
        table[5, lead] = _wander(centred, second)
        table[6, lead] = _mains(centred, waves)
    return table, _slope_correlation(clean[_I], clean[_V6], lag), _contradiction(clean, lag)


@compiled
def _extent(values: NDArray[np.float32]) -> tuple[int, float, float, float]:
    """Number of NaN; mean of the finite; lowest and highest of all others, 0 if there are none."""
    lowest, highest, total = np.float32(np.inf), np.float32(-np.inf), np.float32(0)
    invalid, finite = 0, 0
    for i in range(len(values)):
        value = values[i]
        lowest = value if value < lowest else lowest
        highest = value if value > highest else highest
    for i in range(len(values)):
        total += values[i] if abs(values[i]) <= _LARGEST else np.float32(0)
    for i in range(len(values)):
        invalid += np.isnan(values[i])
        finite += abs(values[i]) <= _LARGEST
    if invalid == len(values):
        return invalid, 0.0, 0.0, 0.0
    return invalid, float(total) / max(1, finite), float(lowest), float(highest)


@compiled
def _longest_run(values: NDArray[np.float32], at_least: int) -> int:
    """Length of the longest run of one value that is ``at_least`` so long, or 0.

    Such a run covers a multiple of its length, so looking around each of these finds it.
    """
    longest = 0
    for probe in range(at_least - 1, len(values), at_least):
        first = last = probe
        while first > 0 and values[first - 1] == values[probe]:
            first -= 1
        while last + 1 < len(values) and values[last + 1] == values[probe]:
            last += 1
        longest = max(longest, last - first + 1)
    return longest if longest >= at_least else 0


@compiled
def _repeats(values: NDArray[np.float32], level: np.float32) -> int:
    """How many samples lie at the level, as the one before them."""
    count = 0
    for i in range(1, len(values)):
        count += (values[i] == level) & (values[i - 1] == level)
    return count


@compiled
def _wander(values: NDArray[np.float32], second: int) -> float:
    lowest, highest = np.inf, -np.inf
    for start in range(0, len(values) - second + 1, second):
        part, total = values[start : start + second], np.float32(0)
        for i in range(second):
            total += part[i]
        mean = float(total / second)
        lowest, highest = min(lowest, mean), max(highest, mean)
    return max(highest - lowest, 0.0)


@compiled
def _mains(values: NDArray[np.float32], waves: NDArray[np.float32]) -> float:
    """Fourier coefficients second by second: the mains drifts out of phase with itself over longer spans."""
    second = waves.shape[1]
    seconds = len(values) // second
    strongest = 0.0
    for wave in range(0, len(waves), 2):
        cosines, sines, total = waves[wave], waves[wave + 1], 0.0
        for start in range(0, seconds * second, second):
            cosine, sine = np.float32(0), np.float32(0)
            part = values[start : start + second]
            for i in range(second):
                cosine += part[i] * cosines[i]
                sine += part[i] * sines[i]
            total += math.sqrt(cosine * cosine + sine * sine)
        strongest = max(strongest, 2 / second * total / seconds)
    return strongest


@compiled
def _slope_correlation(a: NDArray[np.float32], b: NDArray[np.float32], lag: int) -> float:
    ab, aa, bb = np.float32(0), np.float32(0), np.float32(0)
    later_a, later_b = a[lag:], b[lag:]
    for i in range(len(later_a)):
        slope_a, slope_b = later_a[i] - a[i], later_b[i] - b[i]
        ab += slope_a * slope_b
        aa += slope_a * slope_a
        bb += slope_b * slope_b
    return float(ab) / math.sqrt(aa * bb) if aa * bb > 0 else 0.0


@compiled
def _contradiction(leads: NDArray[np.float32], lag: int) -> float:
    """By Einthoven's law and Goldberger's definitions, as in ``stence.ecg.leads``."""
    sums = np.zeros(6)
    half, previous = np.float32(0.5), np.zeros(6, dtype=np.float32)
    for i in range(0, leads.shape[1], lag):
        one, two = leads[0, i], leads[1, i]
        off = np.array(
            [
                one,
                two,
                leads[2, i] - two + one,
                leads[3, i] + half * (one + two),
                leads[4, i] - one + half * two,
                leads[5, i] - two + half * one,
            ],
            dtype=np.float32,
        )
        if i:
            sums += (off - previous).astype(np.float64) ** 2
        previous = off
    scale = max(sums[0], sums[1])
    return math.sqrt(sums[2:].max() / scale) if scale > 0 else 0.0


@compiled
def _copied(signal: NDArray[np.float32]) -> tuple[int, int]:
    """Numbers of the first two equal leads; two zeros if there are none."""
    leads, samples = signal.shape
    for one in range(leads):
        for other in range(one + 1, leads):
            i = 0
            while i < samples and signal[one, i] == signal[other, i]:
                i += 1
            if i == samples:
                return one, other
    return 0, 0
