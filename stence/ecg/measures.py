"""Measurements of each lead for the quality check, in a few passes over the samples."""

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
"""Lag of the signal's slopes. It keeps QRS complex and T wave, and removes baseline wander."""
_I, _V6 = LEADS.index("I"), LEADS.index("V6")


class Measures(NamedTuple):
    """Measurements of one recording: an array (12,) per field, except for the last three fields.

    Voltages are in millivolts. Shares are fractions of all samples.
    """

    invalid_share: NDArray[np.float64]
    """Share of samples that are NaN."""
    span: NDArray[np.float64]
    """Highest minus lowest sample."""
    amplitude: NDArray[np.float64]
    """Largest distance from the mean."""
    frozen_seconds: NDArray[np.float64]
    """Length of the longest run of one repeated value; 0 if all runs are shorter than ``run``."""
    clipped_share: NDArray[np.float64]
    """Share of samples that repeat an extreme value, if that value is ``rail`` or more from the mean."""
    wander: NDArray[np.float64]
    """Range of the means over whole seconds."""
    mains: NDArray[np.float64]
    """Amplitude at the stronger of the frequencies ``MAINS_HZ``, mean over seconds."""
    i_v6_correlation: float
    """Correlation of the slopes of leads I and V6: -1 to 1."""
    contradiction: float
    """Largest disagreement of III, aVR, aVL and aVF with their values derived from I and II: RMS slope of the
    difference, divided by the larger RMS slope of I and II."""
    copied: tuple[str, str] | None
    """First two leads that are equal in every sample and not flat, or None."""


def measure(recording: Recording, run: float, rail: float) -> Measures:
    """Measure a recording of at least one second. ``run`` is in seconds, ``rail`` in millivolts."""
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
    """Return cosine and sine over one second of each mains frequency that the sampling rate can show."""
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
    """Return number of NaN, mean of finite samples, lowest and highest sample. All NaN gives three zeros."""
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
    """Return the length of the longest run of one value; 0 if it is shorter than ``at_least``.

    A run of at least this length covers a multiple of ``at_least``. So the search starts at these samples.
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
    """Count samples at the level whose preceding sample is at the level too."""
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
    """Return the mains amplitude from Fourier coefficients per second: the mains phase drifts over more."""
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
    """Return the contradiction by Einthoven's law and Goldberger's definitions (``stence.ecg.leads``)."""
    half = np.float32(0.5)
    sums, off, previous = np.zeros(6), np.zeros(6, dtype=np.float32), np.zeros(6, dtype=np.float32)
    for i in range(0, leads.shape[1], lag):
        one, two = leads[0, i], leads[1, i]
        off[0], off[1] = one, two
        off[2] = leads[2, i] - two + one
        off[3] = leads[3, i] + half * (one + two)
        off[4] = leads[4, i] - one + half * two
        off[5] = leads[5, i] - two + half * one
        for row in range(6):
            if i:
                sums[row] += np.float64(off[row] - previous[row]) ** 2
            previous[row] = off[row]
    scale = max(sums[0], sums[1])
    return math.sqrt(sums[2:].max() / scale) if scale > 0 else 0.0


@compiled
def _copied(signal: NDArray[np.float32]) -> tuple[int, int]:
    """Return the numbers of the first two equal leads, or two zeros."""
    leads, samples = signal.shape
    for one in range(leads):
        for other in range(one + 1, leads):
            i = 0
            while i < samples and signal[one, i] == signal[other, i]:
                i += 1
            if i == samples:
                return one, other
    return 0, 0
