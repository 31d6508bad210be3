"""Steps of the published input recipes, by scipy, whose import takes a second."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy import signal as processing

from stence.ecg.resampling import SAMPLING_RATE

Signal = NDArray[np.float64]
"""ECGs (..., 12, n)."""

NOTCH_HZ = 50.0
NOTCH_QUALITY = 30.0
MEDIAN_SECONDS = 0.4
FILTER_ORDER = 4
EPSILON = 1e-8
"""Added to standard deviations before division."""


def without_power_line(ecgs: Signal) -> Signal:
    """Remove power-line noise at ``NOTCH_HZ``."""
    numerator, denominator = _notch()
    return processing.filtfilt(numerator, denominator, ecgs, axis=-1)


def within(ecgs: Signal, band: tuple[float, float]) -> Signal:
    """Apply a zero-phase Butterworth filter with the pass band in Hz."""
    return processing.sosfiltfilt(_band_pass(band), ecgs, axis=-1)


@lru_cache
def _notch() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return processing.iirnotch(NOTCH_HZ, NOTCH_QUALITY, fs=SAMPLING_RATE)


@lru_cache
def _band_pass(band: tuple[float, float]) -> NDArray[np.float64]:
    return processing.butter(FILTER_ORDER, band, "bandpass", fs=SAMPLING_RATE, output="sos")


def minus_median(ecgs: Signal) -> Signal:
    """Subtract the running median of each lead. For single leads scipy is twenty times as fast."""
    width = int(MEDIAN_SECONDS * SAMPLING_RATE) + 1  # odd, so that it has a middle
    less = np.empty_like(ecgs)
    for place in np.ndindex(ecgs.shape[:-1]):
        less[place] = ecgs[place] - ndimage.median_filter(ecgs[place], size=width, mode="constant")
    return less


def _polyphase(ecgs: Signal, rate: int) -> Signal:
    return processing.resample_poly(ecgs, rate, SAMPLING_RATE, axis=-1)


def _fourier(ecgs: Signal, rate: int) -> Signal:
    return processing.resample(ecgs, ecgs.shape[-1] * rate // SAMPLING_RATE, axis=-1)


def _standardised(ecgs: Signal, axes: tuple[int, ...]) -> Signal:
    """Scale to mean 0 and standard deviation 1 over ``axes``."""
    spread = ecgs.std(axis=axes, keepdims=True) + EPSILON
    return (ecgs - ecgs.mean(axis=axes, keepdims=True)) / spread


RESAMPLINGS: dict[str, Callable[[Signal, int], Signal]] = {"polyphase": _polyphase, "fourier": _fourier}
NORMALISATIONS: dict[str, Callable[[Signal], Signal]] = {
    "ecg": lambda ecgs: _standardised(ecgs, (-2, -1)),
    "lead": lambda ecgs: _standardised(ecgs, (-1,)),
    "none": lambda ecgs: ecgs,
}
