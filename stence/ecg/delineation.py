"""P wave, QRS complex and ST-T segment of each beat, the same limits for all leads.

Limits are read from the median beat, as electrocardiographs do (IEC 60601-2-25), and laid on every R peak.
QRS limits follow the spatial velocity, the T end the steepest tangent (Lepeschkin and Surawicz 1952).
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, find_peaks, sosfiltfilt

from stence.ecg.recording import Recording

Samples = NDArray[np.float64]

INDEPENDENT = [0, 1, 6, 7, 8, 9, 10, 11]
"""Rows of I, II, V1-V6: the other leads add nothing to a vector's magnitude."""
BEFORE, AFTER, SLACK = 0.34, 0.66, 0.03
"""Seconds of the median beat before and after the R peak, and the largest shift of a beat to align it."""
MIN_BEATS = 3
MIN_P = 0.04
"""mV, magnitude of all leads: a smaller hump before the QRS complex is no P wave."""


class Part(StrEnum):
    """Part of a beat.

    >>> [part.value for part in Part]
    ['P', 'QRS', 'ST-T']
    """

    P = "P"
    QRS = "QRS"
    ST_T = "ST-T"


class Interval(NamedTuple):
    """A part of one beat, from ``start`` to ``end`` in seconds of the recording."""

    part: Part
    start: float
    end: float


def delineate(recording: Recording) -> list[Interval]:
    """Return the parts of all beats, in the order of time. Fewer than three whole beats give none.

    There is no P where no wave stands before the median QRS complex, as in atrial fibrillation. An ectopic
    beat has the limits of the others.

    >>> delineate(Recording(np.zeros((12, 5000), np.float32), sampling_rate=500))
    []
    """
    rate = recording.sampling_rate
    band = butter(2, (0.5, 40), "bandpass", fs=rate, output="sos")  # 40 Hz: pacing spikes are no QRS complex
    filtered = sosfiltfilt(band, np.nan_to_num(recording.signal).astype(np.float64))[INDEPENDENT]
    peaks = _r_peaks(filtered, rate)
    first, last = (BEFORE + SLACK) * rate, filtered.shape[1] - (AFTER + SLACK) * rate
    whole = peaks[(peaks >= first) & (peaks < last)]
    if len(whole) < MIN_BEATS:
        return []
    beat = _median_beat(filtered, whole, rate)
    limits = _limits(beat, float(np.median(np.diff(peaks))) / rate, rate)
    return _on_every_beat(limits, (peaks / rate).tolist(), recording.seconds)


def _r_peaks(filtered: Samples, rate: float) -> NDArray[np.intp]:
    """Return the peaks of the magnitude between 5 and 25 Hz, at least 0.25 s apart."""
    band = sosfiltfilt(butter(2, (5, 25), "bandpass", fs=rate, output="sos"), filtered)
    strength = _smooth(np.sqrt((band**2).sum(axis=0)), 0.06 * rate)
    height = max(0.4 * float(np.quantile(strength, 0.98)), 1e-3)
    return find_peaks(strength, height=height, distance=round(0.25 * rate))[0]


def _median_beat(filtered: Samples, peaks: NDArray[np.intp], rate: float) -> Samples:
    """Return the median beat (leads, samples) after one round of alignment, in mV."""
    before, after, slack = round(BEFORE * rate), round(AFTER * rate), int(SLACK * rate)
    beats = np.stack([filtered[:, p - before : p + after] for p in peaks])
    core = np.median(beats, axis=0)[:, before - 3 * slack : before + 3 * slack]
    shifts = range(-slack, slack + 1)
    aligned = []
    for p in peaks:
        around = filtered[:, p - 4 * slack : p + 4 * slack]
        fit = [np.sum(core * around[:, slack + d : slack + d + core.shape[1]]) for d in shifts]
        best = p + shifts[int(np.argmax(fit))]
        aligned.append(filtered[:, best - before : best + after])
    return np.median(aligned, axis=0)


def _limits(beat: Samples, rr: float, rate: float) -> dict[Part, tuple[float, float]]:
    """Return the limits of each part in seconds from the R peak. ``rr`` in seconds."""
    origin = round(BEFORE * rate)
    onset, offset = _qrs(beat, origin, rate)
    level = np.median(beat[:, max(onset - round(0.02 * rate), 0) : onset + 1], axis=1, keepdims=True)
    t_end = _t_end(_magnitude(beat - level, rate), offset, rr, rate)
    found = {Part.QRS: (onset, offset), Part.ST_T: (offset, t_end)}
    if (p := _p_wave(beat, onset, round(t_end - rr * rate), rate)) is not None:
        found[Part.P] = p
    return {part: ((start - origin) / rate, (end - origin) / rate) for part, (start, end) in found.items()}


def _qrs(beat: Samples, origin: int, rate: float) -> tuple[int, int]:
    """Return onset and offset: beyond them the spatial velocity stays below 5 % of its peak for 10 ms."""
    velocity = _smooth(np.sqrt((np.gradient(beat, axis=1) ** 2).sum(axis=0)), 0.008 * rate)
    window = slice(origin - round(0.08 * rate), origin + round(0.1 * rate))
    slow = velocity < 0.05 * velocity[window].max()
    quiet = max(round(0.010 * rate), 1)
    onset = offset = window.start + int(np.argmax(velocity[window]))
    while onset > quiet and not slow[onset - quiet : onset].all():
        onset -= 1
    while offset < len(slow) - quiet - 1 and not slow[offset + 1 : offset + 1 + quiet].all():
        offset += 1
    return onset, offset


def _t_end(magnitude: Samples, offset: int, rr: float, rate: float) -> int:
    start = min(offset + round(0.08 * rate), len(magnitude) - 3)
    stop = max(min(offset + round(0.62 * rr * rate), len(magnitude) - 2), start + 1)
    peak = start + int(np.argmax(magnitude[start:stop]))
    tail = magnitude[peak : peak + max(round(0.16 * rate), 3)]
    slope = np.gradient(tail)
    steepest = int(np.argmin(slope))
    run = (tail[steepest] - tail.min()) / max(-slope[steepest], 1e-9)
    return min(round(peak + steepest + min(run, 0.1 * rate)), len(magnitude) - 1)


def _p_wave(beat: Samples, onset: int, last_t_end: int, rate: float) -> tuple[int, int] | None:
    """Return onset and offset of the hump before the QRS complex, at a fifth of its height.

    A line through both ends of the search is subtracted from each lead: what is left of the last T wave.
    """
    start, stop = max(last_t_end, onset - round(0.28 * rate), 0), onset + 1
    ends = round(0.015 * rate) + 1
    if stop - start < 6 * ends:
        return None
    part = beat[:, start:stop]
    first, last = (np.median(end, axis=1, keepdims=True) for end in (part[:, :ends], part[:, -ends:]))
    hump = _magnitude(part - first - (last - first) * np.linspace(0, 1, stop - start), rate)
    peak = ends + int(np.argmax(hump[ends:-ends]))
    if hump[peak] < MIN_P:
        return None
    return start + peak - _foot(hump[peak::-1]), start + peak + _foot(hump[peak:])


def _foot(falling: Samples) -> int:
    """Return the first sample below a fifth of the first one, or before a rise."""
    ends = np.flatnonzero((falling < 0.2 * falling[0])[:-1] | (np.diff(falling) > 0))
    return int(ends[0]) if len(ends) else len(falling) - 1


def _magnitude(beat: Samples, rate: float) -> Samples:
    return _smooth(np.sqrt((beat**2).sum(axis=0)), 0.02 * rate)


def _on_every_beat(limits: dict[Part, tuple[float, float]], beats: Samples, seconds: float) -> list[Interval]:
    """Lay the limits on each beat. ST-T ends where the next beat begins; nothing leaves the recording."""
    before = min(start for start, _ in limits.values())
    following = [*(beat + before for beat in beats[1:]), seconds]
    return [
        Interval(part, start, end)
        for beat, limit in zip(beats, following, strict=True)
        for part in Part
        if part in limits
        for start in [max(beat + limits[part][0], 0.0)]
        for end in [min(beat + limits[part][1], limit, seconds)]
        if end > start
    ]


def _smooth(values: Samples, width: float) -> Samples:
    samples = max(round(width), 1)
    return np.convolve(values, np.ones(samples) / samples, "same")
