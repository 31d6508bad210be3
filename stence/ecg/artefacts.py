"""Motion, muscle noise and jumps: what a lead does besides repeating its beats.

A lead is measured in amplitudes of its beat, or of the median lead's beat where that is larger: in a lead of
low voltage, the T wave of a neighbour is no artefact.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.ecg.arrays import sort_columns
from stence.ecg.beats import MIN_BEATS, Beats
from stence.ecg.compiled import compiled
from stence.ecg.noise import STRIDE, WINDOW_SECONDS

_BEFORE_SECONDS, _AFTER_SECONDS = 0.2, 0.4
"""Part of a beat that is compared: P wave to T wave."""
_NOISE_SECONDS = 2.0
_LARGEST_COMMON = 2.0
"""Range of the median lead, in amplitudes of a beat, that an extrasystole may have; motion has more."""
_TINY = 1e-12
"""Instead of 0 as a divisor, for flat leads."""


class Artefacts(NamedTuple):
    """Measurements (leads,), in amplitudes of a beat except for the share."""

    odd_beats: NDArray[np.float64]
    """Share of beats that resemble neither the mean beat nor one of the two before and after."""
    excursion: NDArray[np.float64]
    """Largest range within one second, less where most leads move."""
    noise: NDArray[np.float64]
    """RMS above ``stence.ecg.noise.NOISE_FROM`` in the worst two seconds, median over windows in them."""


def measure_artefacts(
    beats: Beats, noise: NDArray[np.float32], resemblance: float, deviation: float
) -> Artefacts:
    """Measure artefacts; ``noise`` is of ``noise_windows``, the last two as in ``QualityLimits``.

    All is 0 if the amplitude of a beat is unknown, because there are no ``MIN_BEATS`` complete beats.
    """
    before, after = round(_BEFORE_SECONDS * beats.rate), round(_AFTER_SECONDS * beats.rate)
    second, together = round(beats.rate), round(_NOISE_SECONDS / (STRIDE * WINDOW_SECONDS))
    firsts = beats.positions - before
    firsts = firsts[(firsts >= 0) & (firsts + before + after <= beats.blocks.shape[1])]
    if len(firsts) < MIN_BEATS:
        return Artefacts(*np.zeros((3, len(beats.blocks))))
    amplitude, odd = _compare(beats.blocks, firsts, before + after, resemblance, deviation)
    return Artefacts(odd, _excursions(beats.blocks, amplitude, second), _worst(noise, together) / amplitude)


@compiled
def _compare(
    blocks: NDArray[np.float32], firsts: NDArray[np.int64], length: int, resemblance: float, deviation: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the amplitude (leads,) of a beat in millivolts, and the share of odd beats."""
    parts = _parts(blocks, firsts, length)
    sizes = _standardise(parts)
    likeness, amplitude = _likeness(parts, sizes)
    leads, count = sizes.shape
    odd = np.zeros(leads)
    amplitude = np.maximum(amplitude, max(np.median(amplitude), _TINY))
    for lead in range(leads):
        for n in range(count):
            alike = likeness[lead, n]
            off = sizes[lead, n] * np.sqrt(max(0.0, 1 - alike * alike))
            odd[lead] += (alike < resemblance) & (off > deviation * amplitude[lead])
    return amplitude, odd / count


@compiled
def _parts(blocks: NDArray[np.float32], firsts: NDArray[np.int64], length: int) -> NDArray[np.float32]:
    """Return the beats (leads, beats, length) minus their means and slopes, which are wander."""
    leads, count = len(blocks), len(firsts)
    parts = np.empty((leads, count, length), dtype=np.float32)
    centre = np.float32((length - 1) / 2)
    spread = np.float32(length * (length * length - 1) / 12)
    for lead in range(leads):
        for n in range(count):
            values, part = blocks[lead, firsts[n] : firsts[n] + length], parts[lead, n]
            total, tilt = np.float32(0), np.float32(0)
            for i in range(length):
                total += values[i]
                tilt += (i - centre) * values[i]
            mean, slope = np.float32(total / length), np.float32(tilt / spread)
            for i in range(length):
                part[i] = values[i] - mean - slope * (i - centre)
    return parts


@compiled
def _standardise(parts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scale each beat to a mean square of 1 in place, and return the RMS (leads, beats) of before."""
    leads, count, length = parts.shape
    sizes = np.zeros((leads, count))
    for lead in range(leads):
        for n in range(count):
            part, squares = parts[lead, n], np.float32(0)
            for i in range(length):
                squares += part[i] * part[i]
            size = np.float32(np.sqrt(squares / length))
            scale = 1 / size if size > 0 else np.float32(0)
            for i in range(length):
                part[i] *= scale
            sizes[lead, n] = size
    return sizes


@compiled
def _likeness(
    parts: NDArray[np.float32], sizes: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the largest correlation (leads, beats) with the mean beat or a neighbour, 0 at least.

    Also return the range (leads,) of the mean beat at the size that it has in the median beat, in millivolts:
    noise adds nothing to it.
    """
    leads, count, length = parts.shape
    best, amplitude = np.zeros((leads, count)), np.zeros(leads)
    mean = np.empty(length, dtype=np.float32)
    for lead in range(leads):
        mean[:] = 0
        for n in range(count):
            for i in range(length):
                mean[i] += parts[lead, n, i]
        size = max(np.sqrt(_dot(mean, mean)), np.float32(_TINY))
        for n in range(count):
            best[lead, n] = max(0.0, _dot(parts[lead, n], mean) / size)
        amplitude[lead] = (mean.max() - mean.min()) / size * np.median(best[lead] * sizes[lead])
        for n in range(count):
            for other in range(n + 1, min(n + 3, count)):
                alike = _dot(parts[lead, n], parts[lead, other])
                best[lead, n], best[lead, other] = max(best[lead, n], alike), max(best[lead, other], alike)
    return best, amplitude


@compiled
def _dot(a: NDArray[np.float32], b: NDArray[np.float32]) -> np.float32:
    """Return the mean product; for standardised beats their correlation."""
    total = np.float32(0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return np.float32(total / len(a))


@compiled
def _excursions(
    blocks: NDArray[np.float32], amplitude: NDArray[np.float64], second: int
) -> NDArray[np.float64]:
    """Return the largest range (leads,) within one second, looked at every half second.

    A wide extrasystole moves most leads at once, an artefact few: a range counts less where the median lead
    moves further than in a beat.
    """
    leads, count = len(blocks), (blocks.shape[1] - second) // (second // 2) + 1
    ranges = np.empty((leads, count), dtype=np.float32)
    for lead in range(leads):
        for n in range(count):
            part = blocks[lead, n * (second // 2) : n * (second // 2) + second]
            lowest, highest = part[0], part[0]
            for i in range(1, second):
                lowest, highest = min(lowest, part[i]), max(highest, part[i])
            ranges[lead, n] = (highest - lowest) / amplitude[lead]
    ordered = ranges.copy()
    sort_columns(ordered)
    largest = np.zeros(leads)
    for n in range(count):
        common = min(max(1.0, ordered[leads // 2, n]), _LARGEST_COMMON)
        for lead in range(leads):
            largest[lead] = max(largest[lead], ranges[lead, n] / common)
    return largest


@compiled
def _worst(noise: NDArray[np.float32], together: int) -> NDArray[np.float64]:
    """Return the largest median (leads,) of ``together`` successive windows."""
    leads, count = len(noise), max(0, noise.shape[1] - together + 1)
    worst = np.zeros(leads)
    windows = np.empty((together, count), dtype=np.float32)
    for lead in range(leads):
        for shift in range(together):
            windows[shift] = noise[lead, shift : shift + count]
        sort_columns(windows)
        for i in range(count):
            worst[lead] = max(worst[lead], windows[together // 2, i])
    return worst
