"""A short fingerprint of an ECG's signal, to recognise the same ECG in an export of another format.

Exports of one ECG differ by rounding: each format has its own quantisation step, at most 5 microvolts, and a
rate or length of its own. The content hash differs then, the fingerprint hardly does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.ecg.compiled import compiled_exactly
from stence.ecg.recording import LEADS, Recording

TOLERANCE_UV = 8
"""Largest difference in one place between exports of one ECG: a step of 5 microvolts, and rounding."""
_INDEPENDENT = np.array([LEADS.index(lead) for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")])
"""Leads that exports store. The other four are often computed anew, and then differ by more."""
_SECONDS = np.array([0.31, 0.78, 1.13, 1.49, 1.97, 2.22, 2.56, 2.87])
_WINDOW_SECONDS = 0.02
_MOST = 2.0**15 - 1


def fingerprint(recording: Recording) -> tuple[int, ...]:
    """Return means over 20 ms in microvolts, at 8 times within 3 s of each of the 8 independent leads.

    Invalid samples (NaN) are left out; a place without a valid one counts as 0. The recording must have 3 s.

    >>> set(fingerprint(Recording(np.full((12, 1500), 0.25, np.float32), sampling_rate=500)))
    {250}
    """
    rate = recording.sampling_rate
    starts, width = np.round(_SECONDS * rate).astype(np.int64), max(1, round(_WINDOW_SECONDS * rate))
    means = _means(np.ascontiguousarray(recording.signal), _INDEPENDENT, starts, width)
    return tuple(np.round(1000 * means).clip(-_MOST, _MOST).astype(int).tolist())


@compiled_exactly
def _means(
    signal: NDArray[np.float32], leads: NDArray[np.int64], starts: NDArray[np.int64], width: int
) -> NDArray[np.float64]:
    """Return the mean (leads * starts,) of the valid samples from each start."""
    means = np.zeros(len(leads) * len(starts))
    for row in range(len(leads)):
        for column in range(len(starts)):
            total, valid = 0.0, 0
            for i in range(starts[column], min(starts[column] + width, signal.shape[1])):
                if np.isfinite(signal[leads[row], i]):
                    total += signal[leads[row], i]
                    valid += 1
            means[row * len(starts) + column] = total / max(valid, 1)
    return means


def is_same(one: Sequence[int], other: Sequence[int]) -> bool:
    """Return True if two fingerprints are of the same ECG.

    >>> is_same((100, -50), (105, -50)), is_same((100, -50), (120, -50))
    (True, False)
    """
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= TOLERANCE_UV


class Trace(NamedTuple):
    """What two exports of one ECG have in common."""

    patient_id: str
    acquired_at: datetime | None
    fingerprint: tuple[int, ...]
    content: str
    """Content hash, which they do not have in common."""


class Exports:
    """Recognises further exports of ECGs seen before: same patient, same second, same signal.

    >>> seen = Exports()
    >>> noon = datetime(2026, 3, 1, 12)
    >>> levels = {"a": 100, "b": 105, "c": 300}
    >>> [seen.first(Trace("P1", noon, (level,), name)) for name, level in levels.items()]
    ['a', 'a', 'c']
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, datetime], list[Trace]] = {}

    def first(self, trace: Trace) -> str:
        """Return the content hash of the first export seen of this ECG."""
        if trace.acquired_at is None:
            return trace.content
        seen = self._seen.setdefault((trace.patient_id, trace.acquired_at.replace(microsecond=0)), [])
        for earlier in seen:
            if is_same(earlier.fingerprint, trace.fingerprint):
                return earlier.content
        seen.append(trace)
        return trace.content
