"""Beats and noise of a recording, which both the quality check and the profile need."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.ecg.arrays import centred
from stence.ecg.beats import Beats, find_beats
from stence.ecg.noise import noise_windows
from stence.ecg.recording import Recording


class Analysis(NamedTuple):
    """A recording's signal without offsets, its beats and its noise."""

    clean: NDArray[np.float32]
    """Leads (12, samples) in millivolts minus their means; 0 for samples that are not finite."""
    beats: Beats
    noise: NDArray[np.float32]
    """Noise (12, windows), of ``stence.ecg.noise``."""


@lru_cache(maxsize=1)
def analyse(recording: Recording) -> Analysis:
    """Analyse a recording. The last one is kept: its check and its profile follow each other."""
    clean = centred(np.ascontiguousarray(recording.signal))
    rate = recording.sampling_rate
    return Analysis(clean, find_beats(clean, rate), noise_windows(clean, rate))
