"""What is written of an ECG besides its signal."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from stence.ecg.recording import Sex


@dataclass(frozen=True, slots=True)
class Particulars:
    """Patient and recording as the file will name them. ``age`` is in whole years."""

    patient: str = field(repr=False)
    sex: Sex | None = None
    age: int | None = None
    acquired_at: datetime | None = None
    statements: tuple[str, ...] = ()
