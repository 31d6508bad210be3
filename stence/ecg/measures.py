"""Measurements of each lead for the quality check, in a few passes over the samples."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.domain.signal_quality import QualityLimits
from stence.ecg.analysis import analyse
from stence.ecg.arrays import LARGEST
from stence.ecg.artefacts import Artefacts, measure_artefacts
from stence.ecg.beats import LEVEL_SECONDS, QRS_SECONDS, Beats, qrs_extremes
from stence.ecg.compiled import compiled
from stence.ecg.lead_relations import Products, slope_products
from stence.ecg.recording import LEADS, Recording

MAINS_HZ = (50.0, 60.0)
_SPIKE_SECONDS = 0.01
"""Longest pacing spike: a pulse lasts up to 2 ms, and a recorder's filter widens it."""
_I_V6 = [LEADS.index("I"), LEADS.index("V6")]


class Measures(NamedTuple):
    """Measurements of one recording: an array (12,) per field, except for those of all leads together.

    Voltages are in millivolts. Shares are fractions of all samples.
    """

    invalid_share: NDArray[np.float64]
    """Share of samples that are NaN."""
    span: NDArray[np.float64]
    """Highest minus lowest sample."""
    amplitude: NDArray[np.float64]
    """Largest distance from the mean; spikes beyond the limit that are short enough for pacing count as 0."""
    frozen_seconds: NDArray[np.float64]
    """Length of the longest run of one repeated value; 0 if all runs are shorter than ``run``."""
    clipped_share: NDArray[np.float64]
    """Share of samples that repeat an extreme value, if that value is ``rail`` or more from the mean."""
    wander: NDArray[np.float64]
    """Range of the means over whole seconds."""
    mains: NDArray[np.float64]
    """Amplitude at the stronger of the frequencies ``MAINS_HZ``, mean over seconds."""
    artefacts: Artefacts
    """What the leads do besides repeating their beats."""
    beats: int
    """Number of beats found."""
    upright: tuple[bool, bool]
    """Of leads I and V6: the QRS complex is higher than deep."""
    products: Products
    """Products of the slopes of each two leads, for ``stence.ecg.lead_relations``."""
    copied: tuple[str, str] | None
    """First two leads that are equal in every sample and not flat, or None."""


def measure(recording: Recording, limits: QualityLimits) -> Measures:
    """Measure a recording of at least one second; measurements that count samples use the limits."""
    rate = recording.sampling_rate
    signal = np.ascontiguousarray(recording.signal)
    clean, beats, noise = analyse(recording)
    run, spike = max(2, round(limits.max_frozen_seconds * rate)), max(1, round(_SPIKE_SECONDS * rate))
    table = _measure(
        signal,
        clean,
        round(rate),
        run,
        spike,
        limits.min_rail_mv,
        limits.max_amplitude_mv,
        _mains_waves(rate),
    )
    invalid, span, amplitude, frozen, clipped, wander, mains = table
    one, other = _copied(signal)
    copied = (LEADS[one], LEADS[other]) if other and span[one] > 0 else None
    artefacts = measure_artefacts(beats, noise, limits.min_resemblance, limits.min_deviation)
    return Measures(
        *(invalid, span, amplitude, frozen / rate, clipped, wander, mains),
        artefacts,
        len(beats.middles),
        _upright(beats),
        slope_products(clean, rate),
        copied,
    )


def _upright(beats: Beats) -> tuple[bool, bool]:
    reach, level = round(QRS_SECONDS * beats.rate), round(LEVEL_SECONDS * beats.rate)
    highs, lows = qrs_extremes(beats.blocks[_I_V6], beats.positions, reach, level)
    return bool(highs[0] > lows[0]), bool(highs[1] > lows[1])


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
    signal: NDArray[np.float32],
    clean: NDArray[np.float32],
    second: int,
    run: int,
    spike: int,
    rail: float,
    largest: float,
    waves: NDArray[np.float32],
) -> NDArray[np.float64]:
    leads, samples = signal.shape
    table = np.zeros((7, leads))
    for lead in range(leads):
        values = signal[lead]
        invalid, mean, lowest, highest = _extent(values)
        table[0, lead] = invalid / samples
        table[1, lead] = highest - lowest
        far = max(highest - mean, mean - lowest)
        table[2, lead] = far if far <= largest or np.isinf(far) or _lasts(values, mean, largest, spike) else 0
        table[3, lead] = _longest_run(values, run)
        for level in (lowest, highest):
            if abs(level - mean) >= rail:
                table[4, lead] = max(table[4, lead], _repeats(values, np.float32(level)) / samples)
        table[5, lead] = _wander(clean[lead], second)
        table[6, lead] = _mains(clean[lead], waves)
    return table


@compiled
def _lasts(values: NDArray[np.float32], mean: float, distance: float, longest: int) -> bool:
    """Return True if more than ``longest`` successive samples are further from the mean than ``distance``."""
    count = 0
    for i in range(len(values)):
        count = count + 1 if abs(values[i] - mean) > distance else 0
        if count > longest:
            return True
    return False


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
        total += values[i] if abs(values[i]) <= LARGEST else np.float32(0)
    for i in range(len(values)):
        invalid += np.isnan(values[i])
        finite += abs(values[i]) <= LARGEST
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
    """Count samples at the level whose preceding sample is at the level too.

    A run at the end does not count: recorders fill up their last block with the last value.
    """
    end = len(values)
    while end > 1 and values[end - 1] == values[end - 2]:
        end -= 1
    count = 0
    for i in range(1, end):
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
