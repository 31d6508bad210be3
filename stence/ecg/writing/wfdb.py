"""WFDB records: a text header and a signal file of format 16 (WFDB guide, header(5), signal(5))."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from stence.ecg.recording import LEADS, Recording
from stence.ecg.writing.particulars import Particulars
from stence.ecg.writing.quantised import quantise

_BITS = 16


def files(name: str, recording: Recording, particulars: Particulars) -> Mapping[str, bytes]:
    """Return the header and the signal file of a record. Raises UnusableEcgError for excessive amplitudes."""
    samples, step_uv = quantise(recording.signal)
    moment = particulars.acquired_at
    lines = [
        f"{name} {len(LEADS)} {_shortest(recording.sampling_rate)} {samples.shape[1]}"
        + (f" {moment:%H:%M:%S.%f %d/%m/%Y}" if moment else ""),
        *(
            f"{name}.dat 16 {1000 / step_uv:g}(0)/mV {_BITS} 0 {row[0]} {_checksum(row)} 0 {lead}"
            for lead, row in zip(LEADS, samples, strict=True)
        ),
        *_comments(particulars),
    ]
    header = "\n".join([*lines, ""]).encode()
    return {f"{name}.hea": header, f"{name}.dat": samples.T.astype("<i2").tobytes()}


def _comments(particulars: Particulars) -> Iterator[str]:
    yield f"# subject_id: {particulars.patient}"
    if particulars.age is not None:
        yield f"# Age: {particulars.age}"
    if particulars.sex:
        yield f"# Sex: {particulars.sex}"
    yield from (f"# Statement: {statement}" for statement in particulars.statements)


def _checksum(row: NDArray[np.int16]) -> int:
    """Return the sum of the samples as a signed 16-bit number."""
    return int(row.sum(dtype=np.int64).astype(np.int16))


def _shortest(rate: float) -> str:
    """Return the shortest number that reads back as the same rate."""
    return str(int(rate)) if float(rate).is_integer() else repr(float(rate))
