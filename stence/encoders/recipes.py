"""From an ECG to an encoder's input: StenCE's way, the same for all, or the one of the encoder's own authors.

A recipe's version changes whenever the same ECG would come out differently.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy import signal as processing

from stence.ecg import LEADS
from stence.ecg.preprocessing import PREPROCESSING_VERSION, preprocess
from stence.ecg.resampling import SAMPLING_RATE

Signal = NDArray[np.float64]

NOTCH_HZ = 50.0
NOTCH_QUALITY = 30.0
MEDIAN_SECONDS = 0.4
FILTER_ORDER = 4
EPSILON = 1e-8
"""Added to a standard deviation."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The steps from a 12-lead ECG in millivolts to an encoder's input, in the order of the fields."""

    name: str
    version: str
    seconds: int
    """From the ECG's start."""
    notch: bool = False
    """Power-line noise of 50 Hz taken out."""
    band: tuple[float, float] | None = None
    """Hz that a Butterworth filter of zero phase and order 4 lets pass."""
    minus_median: bool = False
    """Less its running median over 0.4 s."""
    sampling_rate: int = SAMPLING_RATE
    """Hz of the result."""
    resampling: Literal["polyphase", "fourier"] = "polyphase"
    normalisation: Literal["stence", "ecg", "lead", "none"]
    """All of ``stence.ecg.preprocess``; mean 0 and deviation 1 of the ECG, or of each lead; nothing."""

    @property
    def samples(self) -> int:
        """Length of the result."""
        return self.seconds * self.sampling_rate

    def apply(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        """An ECG (12, n) in millivolts at 500 Hz -> (12, ``samples``) float32; NaN counts as 0.

        Raises ValueError for another number of leads, or an ECG that is too short.
        """
        needed = self.seconds * SAMPLING_RATE
        if signal.ndim != 2 or len(signal) != len(LEADS) or signal.shape[1] < needed:
            raise ValueError(f"{self.name} takes (12, {needed} or more), got {signal.shape}")
        ecg = np.nan_to_num(signal[:, :needed].astype(np.float64), nan=0.0)
        if self.notch:
            ecg = _without_power_line(ecg)
        if self.band:
            ecg = _within(ecg, self.band)
        if self.minus_median:
            ecg = _minus_median(ecg)
        if self.sampling_rate != SAMPLING_RATE:
            ecg = RESAMPLINGS[self.resampling](ecg, self.sampling_rate)
        return NORMALISATIONS[self.normalisation](ecg).astype(np.float32)


def _without_power_line(ecg: Signal) -> Signal:
    numerator, denominator = processing.iirnotch(NOTCH_HZ, NOTCH_QUALITY, fs=SAMPLING_RATE)
    return processing.filtfilt(numerator, denominator, ecg, axis=1)


def _within(ecg: Signal, band: tuple[float, float]) -> Signal:
    sections = processing.butter(FILTER_ORDER, band, "bandpass", fs=SAMPLING_RATE, output="sos")
    return processing.sosfiltfilt(sections, ecg, axis=1)


def _minus_median(ecg: Signal) -> Signal:
    width = int(MEDIAN_SECONDS * SAMPLING_RATE) + 1  # odd, so that it has a middle
    return ecg - ndimage.median_filter(ecg, size=(1, width), mode="constant")


def _polyphase(ecg: Signal, rate: int) -> Signal:
    return processing.resample_poly(ecg, rate, SAMPLING_RATE, axis=1)


def _fourier(ecg: Signal, rate: int) -> Signal:
    return processing.resample(ecg, ecg.shape[1] * rate // SAMPLING_RATE, axis=1)


def _each_lead(ecg: Signal) -> Signal:
    return (ecg - ecg.mean(axis=1, keepdims=True)) / (ecg.std(axis=1, keepdims=True) + EPSILON)


def _whole_ecg(ecg: Signal) -> Signal:
    return (ecg - ecg.mean()) / (ecg.std() + EPSILON)


def _stence(ecg: Signal) -> Signal:
    return preprocess(ecg.astype(np.float32)).astype(np.float64)


RESAMPLINGS: dict[str, Callable[[Signal, int], Signal]] = {"polyphase": _polyphase, "fourier": _fourier}
NORMALISATIONS: dict[str, Callable[[Signal], Signal]] = {
    "stence": _stence,
    "ecg": _whole_ecg,
    "lead": _each_lead,
    "none": lambda ecg: ecg,
}

STENCE = Recipe(name="stence", version=PREPROCESSING_VERSION, seconds=3, normalisation="stence")
"""StenCE's, with which the paper fine-tunes every encoder (PTACL with 5 s)."""
PUBLISHED = {
    recipe.name: recipe
    for recipe in (
        # The authors scale each lead by constants that they do not publish; here each ECG by its own.
        Recipe(
            name="echoing_ecg",
            version="echoing_ecg-100hz-10s-1",
            seconds=10,
            band=(0.5, 40.0),
            sampling_rate=100,
            normalisation="lead",
        ),
        Recipe(
            name="ecgfounder",
            version="ecgfounder-500hz-10s-1",
            seconds=10,
            notch=True,
            band=(0.67, 40.0),
            minus_median=True,
            normalisation="ecg",
        ),
        Recipe(
            name="xecg",
            version="xecg-100hz-10s-1",
            seconds=10,
            sampling_rate=100,
            resampling="fourier",
            normalisation="none",
        ),
        Recipe(name="ptacl", version="ptacl-500hz-5s-1", seconds=5, normalisation="stence"),
    )
}
"""By encoder, what its published weights were trained with. OTiS' authors do not state theirs."""


def recipe(encoder: str, kind: Literal["stence", "published"]) -> Recipe:
    """The recipe of either kind for an encoder. Raises ValueError where its authors' own is not known."""
    if kind == "stence":
        return STENCE
    if encoder not in PUBLISHED:
        raise ValueError(f"no input recipe is published for {encoder!r}; known: {', '.join(PUBLISHED)}")
    return PUBLISHED[encoder]
