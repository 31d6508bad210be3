"""Table of the elements in a DICOM data set (PS3.5 7.1 and 7.5), by one pass over their headers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stence.ecg.compiled import compiled_exactly

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
    content: NDArray[np.uint8],
    start: int,
    explicit: bool,
    little_endian: bool,
    sequences: NDArray[np.int64],
    elements: int,
    nesting: int,
) -> NDArray[np.int64] | None:
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
def _index(content, at, explicit, little, sequences, table, levels):  # type: ignore[no-untyped-def]
    """Fill the table. ``levels`` holds row, end, explicit VR and undefined length of each open value."""
    tags, vrs, starts, ends, after = table
    count, depth, end = 0, 0, len(content)
    while True:
        if at + 8 > end:  # the level is over
            if depth == 0:
                return count
            depth -= 1
            row, at = levels[0, depth], end
            ends[row], after[row] = end, count
            explicit = levels[2, depth] == 1
            end = levels[1, depth]
            continue
        if little:
            group = content[at] | content[at + 1] << 8
            tag = group << 16 | content[at + 2] | content[at + 3] << 8
        else:
            group = content[at] << 8 | content[at + 1]
            tag = group << 16 | content[at + 2] << 8 | content[at + 3]
        here, vr = at, 0
        is_explicit = explicit and group != 0xFFFE
        length_at, size = at + 4, 4
        if is_explicit:
            vr = content[at + 4] << 8 | content[at + 5]
            length_at, size = at + 6, 2
            for long_vr in _LONG_VRS:
                if vr == long_vr:
                    length_at, size = at + 8, 4
        at = length_at + size
        length = 0
        if at <= end:
            for byte in range(size):
                place = byte if little else size - 1 - byte
                length |= content[length_at + byte] << (8 * place)
        else:
            at = end
        if tag == 0xFFFEE00D or tag == 0xFFFEE0DD:
            if depth == 0:
                return count
            depth -= 1
            row = levels[0, depth]
            ends[row], after[row] = here, count
            if levels[3, depth] == 0:  # the value goes on by its length
                at = end
            explicit = levels[2, depth] == 1
            end = levels[1, depth]
            continue
        if count == table.shape[1]:
            return -1
        is_undefined = size == 4 and length == 0xFFFFFFFF
        stop = end if is_undefined else min(at + length, end)
        tags[count], vrs[count], starts[count], ends[count], after[count] = tag, vr, at, stop, count + 1
        enters = is_undefined
        if tag == 0xFFFEE000:
            enters = True
        elif vr == 0 or vr == _SQ or vr == _UN:
            for sequence in sequences:
                enters = enters or tag == sequence
        count += 1
        if not enters:
            at = stop
            continue
        if depth == levels.shape[1]:
            return -1
        levels[0, depth], levels[1, depth], levels[2, depth] = count - 1, end, explicit
        levels[3, depth] = is_undefined
        depth += 1
        end = stop
        explicit = explicit and vr != _UN
