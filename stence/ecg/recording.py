"""A 12-lead ECG in memory, independent of its file format."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stence.domain.patients import patient_id
from stence.domain.text import plain_text
from stence.domain.times import plausible_age, plausible_time
from stence.ecg import machine

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""Order of the leads in every signal of stence."""

Sex = Literal["F", "M"]


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A resting ECG.

    ``signal`` float32 (12, n) in millivolts, leads in the order of ``LEADS``, NaN for samples that the file
    marks as invalid; ``sampling_rate`` in Hz, as in the file; ``acquired_at`` is naive if the file names no
    time zone; ``age`` in years; ``site`` and ``indication`` as the hospital writes them. ``format`` is the
    name of the file's format. ``filters``, ``measurements`` and ``statements`` are the electrocardiograph's,
    in the terms of ``stence.ecg.machine``.

    All fields are safe to write to a table. Texts are printable and of bounded length. Implausible times and
    ages become None. Raises PatientIdError for an invalid patient number.

    >>> Recording(np.zeros((12, 5000), np.float32), sampling_rate=500, age=999).age is None
    True
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
    format: str | None = None
    device_serial: str | None = None
    filters: str | None = None
    measurements: Mapping[str, float] = field(default_factory=dict)
    statements: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.patient_id is not None:
            object.__setattr__(self, "patient_id", patient_id(self.patient_id))
        for name in ("device", "site", "indication", "format", "device_serial", "filters"):
            if (words := getattr(self, name)) is not None:
                object.__setattr__(self, name, plain_text(words))
        if self.acquired_at is not None and not plausible_time(self.acquired_at):
            object.__setattr__(self, "acquired_at", None)
        if self.age is not None and not plausible_age(self.age):
            object.__setattr__(self, "age", None)
        object.__setattr__(self, "measurements", machine.measurements(self.measurements))
        object.__setattr__(self, "statements", machine.statements(self.statements))

    @property
    def seconds(self) -> float:
        """Duration of the recording in seconds."""
        return float(self.signal.shape[1] / self.sampling_rate)

    @property
    def content_hash(self) -> bytes:
        """SHA-256 of sampling rate and signal. The same ECG has the same hash under any name or format."""
        digest = hashlib.sha256(np.float64(self.sampling_rate).tobytes())
        digest.update(np.ascontiguousarray(self.signal).data)
        return digest.digest()
