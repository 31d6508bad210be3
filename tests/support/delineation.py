"""Measure 12-lead ECGs with one simple delineation, to compare simulated and real ECGs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, find_peaks, sosfiltfilt

INDEPENDENT = [0, 1, 6, 7, 8, 9, 10, 11]
"""Rows of I, II, V1-V6: the other four leads add no information to a vector magnitude."""
BEFORE, AFTER, SLACK = 0.30, 0.60, 0.03
"""Seconds of the averaged beat before and after the R peak, and maximum shift of a beat for alignment."""


@dataclass(frozen=True, slots=True)
class Measurements:
    """Times in ms, amplitudes in mV per lead (12,) from the level at QRS onset, noise in microvolts."""

    heart_rate: float
    rr_variation: float
    qrs: float
    qt: float
    r: NDArray[np.float64]
    s: NDArray[np.float64]
    t: NDArray[np.float64]
    noise: float
    wander: float


class Delineation(NamedTuple):
    """The averaged beat (12, samples) in mV from the level at QRS onset; QRS limits, R peaks (samples)."""

    beat: NDArray[np.float64]
    onset: int
    offset: int
    r_peaks: NDArray[np.int64]


def delineate(signal: NDArray[np.float32], rate: float) -> Delineation | None:
    """Find and average the beats of ``signal`` (12, n) at ``rate`` Hz; None with fewer than three."""
    filtered = _without_wander(signal, rate)
    peaks = r_peaks(filtered, rate)
    whole = _whole(peaks, filtered.shape[1], rate)
    if len(whole) < 3:
        return None
    beat, origin = averaged_beat(filtered, whole, rate)
    onset, offset = _qrs_limits(beat, origin, rate)
    level = beat[:, max(onset - 4, 0) : onset + 1].mean(axis=1, keepdims=True)
    return Delineation(beat - level, onset, offset, peaks)


def measure(signal: NDArray[np.float32], rate: float) -> Measurements | None:
    """Measure ``signal`` (12, n) in mV at ``rate`` Hz; None if fewer than three beats are found."""
    found = delineate(signal, rate)
    if found is None:
        return None
    beat, onset, offset, peaks = found
    rr = np.diff(peaks) / rate
    t_peak, t_end = _t_limits(beat, offset, float(np.median(rr)), rate)
    qrs = beat[:, onset : offset + 1]
    wander = np.nan_to_num(signal) - _without_wander(signal, rate)
    return Measurements(
        heart_rate=float(60 / np.median(rr)),
        rr_variation=float(1000 * rr.std()),
        qrs=1000 * (offset - onset) / rate,
        qt=1000 * (t_end - onset) / rate,
        r=np.maximum(qrs.max(axis=1), 0),
        s=np.maximum(-qrs.min(axis=1), 0),
        t=beat[:, t_peak],
        noise=_noise(signal, peaks, rate),
        wander=float(1000 * np.median(wander.std(axis=1))),
    )


def _without_wander(signal: NDArray[np.float32], rate: float) -> NDArray[np.float64]:
    high_pass = butter(2, 0.5, "highpass", fs=rate, output="sos")
    return np.asarray(sosfiltfilt(high_pass, np.nan_to_num(signal).astype(np.float64)))


def r_peaks(filtered: NDArray[np.float64], rate: float) -> NDArray[np.int64]:
    """Detect QRS complexes: peaks of the vector magnitude between 5 and 25 Hz, at least 0.25 s apart."""
    band = sosfiltfilt(butter(2, (5, 25), "bandpass", fs=rate, output="sos"), filtered[INDEPENDENT])
    width = round(0.06 * rate)
    strength = np.convolve(np.sqrt((band**2).sum(axis=0)), np.ones(width) / width, "same")
    peaks, _ = find_peaks(strength, height=0.4 * np.quantile(strength, 0.98), distance=round(0.25 * rate))
    return peaks.astype(np.int64)


def _whole(peaks: NDArray[np.int64], samples: int, rate: float) -> NDArray[np.int64]:
    """Select R peaks far enough from both ends for a whole beat, even when shifted."""
    first, last = (BEFORE + SLACK) * rate, samples - (AFTER + SLACK) * rate
    return peaks[(peaks >= first) & (peaks < last)]


def averaged_beat(
    filtered: NDArray[np.float64], peaks: NDArray[np.int64], rate: float
) -> tuple[NDArray[np.float64], int]:
    """Compute the median beat (12, samples) after one round of alignment, and its R peak's sample."""
    before, after, slack = round(BEFORE * rate), round(AFTER * rate), int(SLACK * rate)
    template = np.median([filtered[:, p - before : p + after] for p in peaks], axis=0)
    core = template[:, before - 3 * slack : before + 3 * slack]
    shifts = range(-slack, slack + 1)
    aligned = []
    for peak in peaks:
        around = filtered[:, peak - 4 * slack : peak + 4 * slack]
        fit = [np.sum(core * around[:, slack + d : slack + d + core.shape[1]]) for d in shifts]
        p = peak + shifts[int(np.argmax(fit))]
        aligned.append(filtered[:, p - before : p + after])
    return np.median(aligned, axis=0), before


def _qrs_limits(beat: NDArray[np.float64], origin: int, rate: float) -> tuple[int, int]:
    """Find QRS onset and offset: the spatial velocity stays below 5 % of its peak for 10 ms."""
    velocity = np.sqrt((np.gradient(beat[INDEPENDENT], axis=1) ** 2).sum(axis=0))
    width = max(round(0.008 * rate), 1)
    velocity = np.convolve(velocity, np.ones(width) / width, "same")
    window = slice(origin - round(0.08 * rate), origin + round(0.1 * rate))
    slow = velocity < 0.05 * velocity[window].max()
    quiet = round(0.010 * rate)
    peak = window.start + int(np.argmax(velocity[window]))
    onset, offset = peak, peak
    while onset > quiet and not slow[onset - quiet : onset].all():
        onset -= 1
    while offset < len(slow) - quiet - 1 and not slow[offset + 1 : offset + 1 + quiet].all():
        offset += 1
    return onset, offset


def _t_limits(beat: NDArray[np.float64], offset: int, rr: float, rate: float) -> tuple[int, int]:
    """Find the T peak in the vector magnitude, and the T end by the steepest tangent (Lepeschkin 1952)."""
    width = round(0.02 * rate)
    kernel = np.ones(width) / width
    smooth = np.array([np.convolve(row, kernel, "same") for row in beat[INDEPENDENT]])
    magnitude = np.sqrt((smooth**2).sum(axis=0))
    start = offset + round(0.08 * rate)
    stop = min(offset + round(0.62 * rr * rate), beat.shape[1] - width)
    peak = start + int(np.argmax(magnitude[start:stop]))
    tail = magnitude[peak : min(peak + round(0.16 * rate), beat.shape[1] - width)]
    slope = np.gradient(tail)
    steepest = int(np.argmin(slope))
    floor = tail.min()
    run = (tail[steepest] - floor) / max(-slope[steepest], 1e-9)
    return peak, round(peak + steepest + min(run, 0.1 * rate))


def _noise(signal: NDArray[np.float32], peaks: NDArray[np.int64], rate: float) -> float:
    """Compute the median over leads of the robust deviation above 40 Hz, outside the QRS complexes."""
    fast = sosfiltfilt(butter(3, 40, "highpass", fs=rate, output="sos"), np.nan_to_num(signal))
    quiet = np.ones(signal.shape[1], dtype=bool)
    for peak in peaks:
        quiet[max(peak - round(0.1 * rate), 0) : peak + round(0.1 * rate)] = False
    return float(1000 * np.median(1.4826 * np.median(np.abs(fast[:, quiet]), axis=1)))
