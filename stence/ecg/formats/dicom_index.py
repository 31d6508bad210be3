"""Table of the elements in a DICOM data set (PS3.5 7.1 and 7.5), by one pass over their headers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stence.ecg.compiled import compiled_exactly

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

NO_VR = 0
"""Value representation of elements in implicit VR."""
_ITEM_GROUP = 0xFFFE
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_SQ, _UN = int.from_bytes(b"SQ", "big"), int.from_bytes(b"UN", "big")
_LONG_VRS = np.array(
    [int.from_bytes(vr, "big") for vr in b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()], np.int64
)
"""Value representations with a length of four bytes after two reserved ones (PS3.5 7.1.2)."""
_LEAST_BYTES = 8
"""Bytes of the smallest element."""


def indexed(
    content: Bytes,
    start: int,
    explicit: bool,
    little_endian: bool,
    sequences: Integers,
    elements: int,
    nesting: int,
) -> Integers | None:
    """Return tags, value representations, starts and ends of values, and the row after each element.

    The result is (5, n), in the order of the file. Rows of an item follow that of the item. The items of
    ``sequences`` are entered, and all values of undefined length. The result is None if there are more than
    ``elements``, or deeper than ``nesting``.
    """
    table = np.empty((5, min(elements, len(content) // _LEAST_BYTES + 1)), np.int64)
    levels = np.empty((4, nesting), np.int64)
    count = _index(content, start, explicit, little_endian, sequences, table, levels)
    return None if count < 0 else table[:, :count]


@compiled_exactly
def _unsigned(content: Bytes, at: int, size: int, little: bool) -> int:
    number = 0
    for byte in range(size):
        number |= content[at + byte] << 8 * (byte if little else size - 1 - byte)
    return number


@compiled_exactly
def _header(content: Bytes, at: int, end: int, explicit: bool, little: bool) -> tuple[int, int, int, int]:
    """Return tag, value representation, start and length of an element, which has at least eight bytes."""
    group = _unsigned(content, at, 2, little)
    tag = group << 16 | _unsigned(content, at + 2, 2, little)
    if not explicit or group == _ITEM_GROUP:
        return tag, NO_VR, at + 8, _unsigned(content, at + 4, 4, little)
    vr = content[at + 4] << 8 | content[at + 5]
    for long_vr in _LONG_VRS:
        if vr == long_vr:
            length = _unsigned(content, at + 8, 4, little) if at + 12 <= end else 0
            return tag, vr, min(at + 12, end), length
    return tag, vr, at + 8, _unsigned(content, at + 6, 2, little)


@compiled_exactly
def _is_entered(tag: int, vr: int, length: int, sequences: Integers) -> bool:
    if length == _UNDEFINED or tag == _ITEM:
        return True
    found = False
    for sequence in sequences:
        found = found or tag == sequence
    return found and vr in (NO_VR, _SQ, _UN)


@compiled_exactly
def _index(
    content: Bytes,
    at: int,
    explicit: bool,
    little: bool,
    sequences: Integers,
    table: Integers,
    levels: Integers,
) -> int:
    """Fill the table, and return its rows; -1 if there are too many.

    ``levels`` holds row, outer end, outer explicit VR and length of each open value.
    """
    tags, vrs, starts, ends, after = table
    count, depth, end = 0, 0, len(content)
    while True:
        is_over = at + _LEAST_BYTES > end
        tag, vr, start, length = (0, 0, end, 0) if is_over else _header(content, at, end, explicit, little)
        if is_over or tag in (_ITEM_END, _SEQUENCE_END):
            if depth == 0:
                return count
            depth -= 1
            row, outer_end, outer_explicit, outer_length = levels[:, depth]
            ends[row], after[row] = end if is_over else at, count
            at = start if outer_length == _UNDEFINED else end
            end, explicit = outer_end, outer_explicit == 1
            continue
        if count == len(tags):
            return -1
        stop = end if length == _UNDEFINED else min(start + length, end)
        tags[count], vrs[count], starts[count], ends[count], after[count] = tag, vr, start, stop, count + 1
        at = stop
        if _is_entered(tag, vr, length, sequences):
            if depth == levels.shape[1]:
                return -1
            levels[0, depth], levels[1, depth] = count, end
            levels[2, depth], levels[3, depth] = explicit, length
            at, end, explicit = start, stop, explicit and vr != _UN
            depth += 1
        count += 1
