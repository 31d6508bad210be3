"""Encoded samples of SCP-ECG: the common layout of sections 5 and 6 (EN 1064, 5.8 and 5.9)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.ecg.formats.limits import check_rate
from stence.ecg.formats.scp import huffman
from stence.ecg.formats.scp.sections import Section
from stence.ecg.reasons import Reason, refuse


class Blocks(NamedTuple):
    """One block of bytes a lead. ``step`` in nanovolts, ``interval`` in microseconds.

    ``differences`` is 0 for samples, 1 or 2 for first or second differences. ``flag`` has another meaning in
    each section.
    """

    step: int
    interval: int
    differences: int
    flag: int
    leads: list[bytes]


def read(section: Section, count: int) -> Blocks:
    """Return the blocks of ``count`` leads. Raises UnusableEcgError for an unknown unit, rate or encoding."""
    cursor = section.cursor()
    step, interval, differences, flag = (cursor.number(size) for size in (2, 2, 1, 1))
    if step == 0:
        detail = f"section {section.number} of the SCP-ECG file has steps of 0 nV"
        raise refuse(Reason.UNKNOWN_UNIT, detail, value=0)
    check_rate(1e6 / interval if interval else 0.0)
    if differences > 2:
        raise refuse(Reason.UNSUPPORTED_FORMAT, f"SCP-ECG with {differences}-fold differences")
    sizes = [cursor.number(2) for _ in range(count)]
    return Blocks(step, interval, differences, flag, [cursor.take(size) for size in sizes])


def samples(block: bytes, count: int, differences: int, tables: huffman.Tables | None) -> NDArray[np.int16]:
    """Decode a block to its 16-bit steps (count,). Raises UnusableEcgError if it is too short."""
    if tables is not None:
        return _summed(huffman.decode(block, count, tables), differences)
    if len(block) < 2 * count:
        there = len(block) // 2
        raise refuse(Reason.TRUNCATED, f"a lead holds {there} of {count} samples", value=there)
    return _summed(np.frombuffer(block, "<i2", count), differences)


def _summed(numbers: NDArray[np.integer], differences: int) -> NDArray[np.int16]:
    """Undo the differences. The first numbers, as many as differences were taken, are samples.

    Sums wrap at 16 bits as in the encoder, where a difference of two samples can need 17 bits.
    """
    values = numbers.astype(np.int64)
    if differences == 2 and len(values) > 1:
        values[1] -= values[0]
        values[1:] = np.cumsum(values[1:])
    return (np.cumsum(values) if differences else values).astype(np.int16)
