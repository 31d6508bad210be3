"""An ECG of a labelled data set, opened for training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stence.cohort import Split
from stence.preparation.reading import UsableEcg


@dataclass(frozen=True, slots=True)
class Opened:
    """An ECG, its split, and its signal as stored for training, with the number of its ``samples``."""

    ecg: UsableEcg
    split: Split
    samples: int
    signal: NDArray[np.float32]
