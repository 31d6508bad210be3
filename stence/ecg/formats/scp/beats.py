"""Reference beats that were subtracted from the rhythm of SCP-ECG: sections 4 and 5 (EN 1064, 5.7, 5.8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.ecg.formats.limits import Limits
from stence.ecg.formats.scp import blocks, huffman
from stence.ecg.formats.scp.leads import Span
from stence.ecg.formats.scp.sections import Section
from stence.ecg.reasons import Reason, refuse

MAX_BEATS = 4096
"""An hour at 68 beats a minute. Section 6 holds at most minutes."""
_SUBTRACTED_TYPE = 0


class Beat(NamedTuple):
    """A beat in the recording: its type, and first, fiducial and last sample, counted from 1."""

    type: int
    first: int
    fiducial: int
    last: int


class Reference(NamedTuple):
    """The reference beat of every stored lead, and where it was subtracted."""

    data: blocks.Blocks
    samples: int
    fiducial: int
    beats: list[Beat]

    def add(self, signal: NDArray[np.int64], span: Span, lead: int, tables: huffman.Tables | None) -> None:
        """Add the beats in place to one lead's residual signal (n,) in nanovolts."""
        data = self.data
        steps = blocks.samples(data.leads[lead], self.samples, data.differences, tables)
        reference = steps.astype(np.int64) * data.step
        for beat in self.beats:
            start = beat.fiducial - self.fiducial + 1  # sample of the recording at the reference's first
            first = max(beat.first, start, span.first)
            stop = min(beat.last + 1, start + self.samples, span.last + 1)
            if first < stop:
                signal[first - span.first : stop - span.first] += reference[first - start : stop - start]


def read(sections: Mapping[int, Section], leads: int, interval: int, limits: Limits) -> Reference:
    """Return the reference beat for a rhythm of ``interval`` microseconds per sample.

    Raises UnusableEcgError if it is missing, has another sampling rate, or was subtracted from more samples
    than are read.
    """
    if 4 not in sections or 5 not in sections:
        raise refuse(Reason.BROKEN_HEADER, "the SCP-ECG file lacks the reference beat that was subtracted")
    data = blocks.read(sections[5], leads)
    if data.interval != interval:
        raise refuse(Reason.UNSUPPORTED_FORMAT, "SCP-ECG with a reference beat of another sampling rate")
    cursor = sections[4].cursor()
    milliseconds, fiducial, count = (cursor.number(2) for _ in range(3))
    if count > MAX_BEATS:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, f"{count} beats in an SCP-ECG file", value=count)
    beats = [Beat(*(cursor.number(size) for size in (2, 4, 4, 4))) for _ in range(count)]
    if (total := sum(max(0, beat.last - beat.first + 1) for beat in beats)) > limits.samples:
        detail = f"the beats of the SCP-ECG file overlap: they have {total} samples together"
        raise refuse(Reason.IMPLAUSIBLE_SIZE, detail, value=total)
    samples = round(milliseconds * 1000 / interval)
    return Reference(data, samples, fiducial, [beat for beat in beats if beat.type == _SUBTRACTED_TYPE])
