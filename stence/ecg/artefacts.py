"""Motion, muscle noise and jumps: what a lead does besides repeating its beats.

A lead is measured in amplitudes of its beat, or of the median lead's beat where that is larger: in a lead of
low voltage, the T wave of a neighbour is no artefact.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.ecg.beats import MIN_BEATS, Beats
from stence.ecg.compiled import compiled
from stence.ecg.noise import STRIDE, WINDOW_SECONDS

_BEFORE_SECONDS, _AFTER_SECONDS = 0.2, 0.4
"""Part of a beat that is compared: P wave to T wave."""
_NOISE_SECONDS = 2.0


class Artefacts(NamedTuple):
    """Measurements (leads,), in amplitudes of a beat except for the share."""

    odd_beats: NDArray[np.float64]
    """Share of beats that resemble neither the mean beat nor one of the two before and after."""
    excursion: NDArray[np.float64]
    """Largest range within one second."""
    noise: NDArray[np.float64]
    """RMS above ``stence.ecg.noise.NOISE_FROM`` in the worst two seconds, median over windows in them."""


def measure_artefacts(
    beats: Beats, noise: NDArray[np.float32], resemblance: float, deviation: float
) -> Artefacts:
    """Measure artefacts; ``noise`` is of ``noise_windows``, the last two as in ``QualityLimits``.

    All is 0 if the amplitude of a beat is unknown, because there are no ``MIN_BEATS`` complete beats.
    """
    before, after = round(_BEFORE_SECONDS * beats.rate), round(_AFTER_SECONDS * beats.rate)
    firsts = np.round(beats.middles).astype(np.int64) - before
    firsts = firsts[(firsts >= 0) & (firsts + before + after <= beats.blocks.shape[1])]
    if len(firsts) < MIN_BEATS:
        none = np.zeros(len(beats.blocks))
        return Artefacts(none, none, none)
    parts = _parts(beats.blocks, firsts, before + after)
    sizes = _standardise(parts)
    likeness = _likeness(parts)
    amplitude = _amplitudes(parts, sizes)
    odd = (likeness < resemblance) & (sizes * np.sqrt(1 - likeness**2) > deviation * amplitude[:, None])
    return Artefacts(
        odd.mean(axis=1),
        _widest(beats.blocks, round(beats.rate)) / amplitude,
        _worst(noise, round(_NOISE_SECONDS / (STRIDE * WINDOW_SECONDS))) / amplitude,
    )


def _amplitudes(parts: NDArray[np.float32], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the range of each lead's mean beat in millivolts, or of the median lead's if that is larger."""
    mean = parts.mean(axis=1)
    length = np.sqrt((mean**2).mean(axis=1))
    shape = np.ptp(mean, axis=1) / np.maximum(length, np.finfo(np.float32).tiny)
    own = shape * np.median(sizes, axis=1)
    return np.maximum(np.maximum(own, np.median(own)), np.finfo(np.float32).tiny)


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
def _likeness(parts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the correlation (leads, beats) with the mean beat or a neighbour, the largest; 0 at least."""
    leads, count, length = parts.shape
    best = np.zeros((leads, count))
    mean = np.empty(length, dtype=np.float32)
    for lead in range(leads):
        mean[:] = 0
        for n in range(count):
            for i in range(length):
                mean[i] += parts[lead, n, i]
        size = max(np.sqrt(_dot(mean, mean)), np.float32(1e-30))
        for n in range(count):
            best[lead, n] = max(best[lead, n], _dot(parts[lead, n], mean) / size)
            for other in range(n + 1, min(n + 3, count)):
                alike = _dot(parts[lead, n], parts[lead, other])
                best[lead, n], best[lead, other] = max(best[lead, n], alike), max(best[lead, other], alike)
    return np.minimum(best, 1.0)


@compiled
def _dot(a: NDArray[np.float32], b: NDArray[np.float32]) -> np.float32:
    """Return the mean product; for standardised beats their correlation."""
    total = np.float32(0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return np.float32(total / len(a))


@compiled
def _widest(blocks: NDArray[np.float32], second: int) -> NDArray[np.float64]:
    """Return the largest range (leads,) within one second, looked at every half second."""
    leads, count = blocks.shape
    widest = np.zeros(leads)
    for lead in range(leads):
        for start in range(0, count - second + 1, second // 2):
            part = blocks[lead, start : start + second]
            lowest, highest = part[0], part[0]
            for i in range(1, second):
                lowest, highest = min(lowest, part[i]), max(highest, part[i])
            widest[lead] = max(widest[lead], highest - lowest)
    return widest


@compiled
def _worst(noise: NDArray[np.float32], together: int) -> NDArray[np.float64]:
    """Return the largest median (leads,) of ``together`` successive windows."""
    worst = np.zeros(len(noise))
    for lead in range(len(noise)):
        for start in range(noise.shape[1] - together + 1):
            worst[lead] = max(worst[lead], np.median(noise[lead, start : start + together]))
    return worst
