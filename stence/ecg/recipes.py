"""Input recipes: preprocessing from an ECG to an encoder's input.

A recipe is either StenCE's, the same for all encoders, or the published one of the encoder's authors. The
version of a recipe changes whenever its result for the same ECG changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stence.ecg.preprocessing import PREPROCESSING_VERSION, preprocess, preprocess_in_place
from stence.ecg.reasons import Reason, refuse
from stence.ecg.recording import LEADS, Recording
from stence.ecg.resampling import SAMPLING_RATE, resample

Kind = Literal["stence", "published"]

RESTING_SECONDS = 10
"""Length of a resting ECG, and of the longest window of a recipe."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Steps from a 12-lead ECG in millivolts to an encoder's input, in the order of the fields."""

    name: str
    version: str
    seconds: int
    """Length of a window."""
    notch: bool = False
    """Removal of power-line noise of 50 Hz."""
    band: tuple[float, float] | None = None
    """Pass band in Hz of a zero-phase Butterworth filter of order 4."""
    minus_median: bool = False
    """Subtraction of the running median over 0.4 s."""
    sampling_rate: int = SAMPLING_RATE
    """Sampling rate of the result in Hz."""
    resampling: Literal["polyphase", "fourier"] = "polyphase"
    normalisation: Literal["stence", "ecg", "lead", "none"]
    """"stence": ``stence.ecg.preprocess`` replaces all steps. "ecg", "lead": mean 0 and standard deviation 1
    of the ECG or of each lead."""

    @property
    def samples(self) -> int:
        """Number of samples of a window in the result."""
        return self.seconds * self.sampling_rate

    @property
    def needed(self) -> int:
        """Number of samples of a window at 500 Hz."""
        return self.seconds * SAMPLING_RATE

    def windows(self, wanted: int) -> int:
        """Return the number of windows per ECG: ``wanted``, or 1 if a window covers the whole ECG."""
        return wanted if self.seconds < RESTING_SECONDS else 1

    def prepare(self, recording: Recording, windows: int) -> NDArray[np.float32]:
        """Return the windows of a recording for a model: (windows, 12, ``samples``) float32.

        Windows are spread evenly over the recording, and preprocessed separately. A single window is the
        start of the recording. Invalid samples (NaN) count as 0, also in the resampling. Raises
        UnusableEcgError if the recording is too short.
        """
        prepared = np.empty((windows, len(LEADS), self.samples), dtype=np.float32)
        self.prepare_into(prepared, recording)
        return prepared

    def prepare_into(self, prepared: NDArray[np.float32], recording: Recording) -> None:
        """Write the windows of a recording to contiguous ``prepared`` (windows, 12, ``samples``).

        See ``prepare``, also for the error.
        """
        signal = self.long_enough(recording)
        starts = self.starts(signal.shape[1], len(prepared))
        parts = [signal[:, start : start + self.needed] for start in starts]
        if self.normalisation == "stence":
            np.stack(parts, out=prepared)
            preprocess_in_place(prepared)
        else:
            prepared[:] = self.apply(np.stack(parts))

    def starts(self, length: int, windows: int) -> NDArray[np.intp]:
        """Return the first samples (windows,) of the windows of an ECG with ``length`` samples at 500 Hz.

        >>> STENCE.starts(5000, 3).tolist()
        [0, 1750, 3500]
        """
        return _spread(length - self.needed, windows)

    def long_enough(self, recording: Recording) -> NDArray[np.float32]:
        """Resample a recording to (12, n) at 500 Hz. Raises UnusableEcgError if shorter than a window."""
        signal = resample(recording.signal, recording.sampling_rate)
        if signal.shape[1] < self.needed:
            detail = f"{recording.seconds:.2f} s long; the model's windows are of {self.seconds} s"
            raise refuse(Reason.TOO_SHORT, detail, value=recording.seconds)
        return signal

    def apply(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        """Preprocess the start of ECGs (..., 12, n) in mV at 500 Hz -> (..., 12, ``samples``) float32.

        NaN counts as 0. Raises ValueError for another number of leads, or ECGs that are too short.

        >>> PUBLISHED["xecg"].apply(np.zeros((12, 5000), np.float32)).shape
        (12, 1000)
        """
        if signal.ndim < 2 or signal.shape[-2] != len(LEADS) or signal.shape[-1] < self.needed:
            raise ValueError(f"{self.name} takes (12, {self.needed} or more), got {signal.shape}")
        signal = signal[..., : self.needed]
        if self.normalisation == "stence":
            return preprocess(signal)
        from stence.ecg import filters  # noqa: PLC0415 - scipy takes a second to import

        ecgs = np.nan_to_num(signal.astype(np.float64), nan=0.0)
        if self.notch:
            ecgs = filters.without_power_line(ecgs)
        if self.band:
            ecgs = filters.within(ecgs, self.band)
        if self.minus_median:
            ecgs = filters.minus_median(ecgs)
        if self.sampling_rate != SAMPLING_RATE:
            ecgs = filters.RESAMPLINGS[self.resampling](ecgs, self.sampling_rate)
        return filters.NORMALISATIONS[self.normalisation](ecgs).astype(np.float32)


@lru_cache
def _spread(last: int, count: int) -> NDArray[np.intp]:
    places = np.linspace(0, last, count).round().astype(np.intp)
    places.flags.writeable = False
    return places


STENCE = Recipe(name="stence", version=PREPROCESSING_VERSION, seconds=3, normalisation="stence")
"""Recipe of StenCE. The paper fine-tunes every encoder with it (PTACL with 5 s)."""
PUBLISHED = {
    recipe.name: recipe
    for recipe in (
        # The authors scale each lead by unpublished constants. Here each lead is scaled by its own values.
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
"""Recipe of each encoder's published weights. The authors of OTiS do not state theirs."""
VERSIONS = {known.version: known for known in (STENCE, *PUBLISHED.values())}


def recipe(encoder: str, kind: Kind) -> Recipe:
    """Return an encoder's recipe of this kind. Raises ValueError if the authors' recipe is not known.

    >>> recipe("otis", "stence").version, recipe("xecg", "published").samples
    ('stence-500hz-3s-1', 1000)
    """
    if kind == "stence":
        return STENCE
    if encoder not in PUBLISHED:
        raise ValueError(f"no input recipe is published for {encoder!r}; known: {', '.join(PUBLISHED)}")
    return PUBLISHED[encoder]
