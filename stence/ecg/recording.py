"""A 12-lead ECG in memory, the same whatever file it came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""The order of every signal in stence."""

Sex = Literal["F", "M"]


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One resting ECG.

    ``signal`` float32 (12, n) in millivolts, leads in the order of ``LEADS``, NaN where the file marks a
    sample as invalid; ``sampling_rate`` in Hz, as in the file; ``acquired_at`` is naive where the file names
    no time zone; ``age`` in years; ``site`` and ``indication`` as the hospital writes them.
    """

    signal: NDArray[np.float32] = field(repr=False)
    sampling_rate: float
    patient_id: str | None = field(default=None, repr=False)  # never in a log or a traceback
    acquired_at: datetime | None = None
    device: str | None = None
    sex: Sex | None = None
    age: float | None = None
    site: str | None = None
    indication: str | None = None

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return float(self.signal.shape[1] / self.sampling_rate)

    @property
    def content_hash(self) -> bytes:
        """SHA-256 over sampling rate and signal: equal for the same ECG under any name or format."""
        digest = hashlib.sha256(np.float64(self.sampling_rate).tobytes())
        digest.update(np.ascontiguousarray(self.signal).data)
        return digest.digest()
