"""Signals as 16-bit integers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.ecg.reasons import Reason, refuse

STEPS_UV = (1.0, 2.5)
"""Microvolts per step, the finest first: +-32.8 mV and +-81.9 mV."""
INVALID = -(2**15)
"""Value of an invalid sample: that of WFDB's format 16 (signal(5)), and the padding in DICOM."""
_LARGEST = 2**15 - 1


class Quantised(NamedTuple):
    """Samples (12, n) in steps of ``step_uv`` microvolts, INVALID where there is none."""

    samples: NDArray[np.int16]
    step_uv: float


def quantise(signal: NDArray[np.float32]) -> Quantised:
    """Round a signal (12, n) in millivolts to the finest step that holds it; NaN becomes INVALID.

    Raises UnusableEcgError if no step does.

    >>> quantise(np.array([[0.0014, np.nan, -1]], np.float32)).samples.tolist()
    [[1, -32768, -1000]]
    """
    microvolts = signal.astype(np.float64) * 1000
    valid = ~np.isnan(microvolts)
    largest = float(np.abs(microvolts, where=valid, out=np.zeros_like(microvolts)).max(initial=0))
    for step in STEPS_UV:
        if np.rint(largest / step) <= _LARGEST:
            whole = np.rint(np.where(valid, microvolts / step, INVALID))
            return Quantised(whole.astype(np.int16), step)
    detail = f"a sample of {largest / 1000:g} mV does not fit into 16 bits at {STEPS_UV[-1]:g} uV a step"
    raise refuse(Reason.IMPLAUSIBLE_AMPLITUDE, detail, value=largest / 1000)
