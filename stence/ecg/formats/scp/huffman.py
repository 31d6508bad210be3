"""Huffman tables (section 2) and codes of SCP-ECG (EN 1064, 5.5)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.ecg.compiled import compiled_exactly
from stence.ecg.formats.scp.sections import Section
from stence.ecg.reasons import Reason, refuse

MAX_CODES = 1024
"""Codes of all tables together. The default table has 19."""
MAX_EXTRA_BITS = 24
_MAX_PREFIX_BITS = 32
_DEFAULT = 19999
_STAYS = -1


class Code(NamedTuple):
    """One line of a table: ``prefix`` in transmission order, then bits of a signed number to add."""

    prefix: tuple[int, ...]
    extra_bits: int
    value: int
    table: int = _STAYS
    """Number of the table to go on with, from 0, if the code is a switch and no sample."""


class Tables(NamedTuple):
    """Codes of all tables, one binary tree a table.

    ``tree`` (nodes, 2): next node after a bit 0 or 1, 0 if no code goes on so, ``-1 - leaf`` at the end of a
    prefix. ``leaves`` (codes, 3): extra bits, value, next table. ``roots`` (tables,): first node of each.
    """

    tree: NDArray[np.int32]
    leaves: NDArray[np.int32]
    roots: NDArray[np.int32]


def read(section: Section) -> Tables:
    """Return the tables of section 2. Raises UnusableEcgError if they are broken or ambiguous."""
    cursor = section.cursor()
    if (count := cursor.number(2)) == _DEFAULT:
        return _default()
    tables: list[list[Code]] = []
    total = 0
    for _ in range(count):
        total += (size := cursor.number(2))
        if total > MAX_CODES:
            raise refuse(Reason.IMPLAUSIBLE_SIZE, f"{total} Huffman codes", value=total)
        tables.append([_code(cursor.take(9), count) for _ in range(size)])
    return _grown(tables)


def decode(content: bytes, samples: int, tables: Tables) -> NDArray[np.int32]:
    """Decode ``samples`` numbers (samples,). Raises UnusableEcgError if the bytes hold fewer."""
    if samples > 8 * len(content):  # each code has one bit at least; nothing is allocated before this
        raise _ends(8 * len(content), samples)
    numbers, found, known = _decode(np.frombuffer(content, np.uint8), samples, *tables)
    if not known:
        raise refuse(Reason.BROKEN_SIGNAL, f"sample {found} has no code in the Huffman table", value=found)
    if found < samples:
        raise _ends(found, samples)
    return numbers


def _ends(found: int, samples: int) -> Exception:
    return refuse(Reason.TRUNCATED, f"a lead holds at most {found} of {samples} samples", value=found)


def _code(line: bytes, tables: int) -> Code:
    """Parse bits of the prefix, bits of the whole code, mode, base value and base code (first bit lowest)."""
    bits, whole, stays = line[:3]
    value = int.from_bytes(line[3:5], "little", signed=True)
    base = int.from_bytes(line[5:9], "little")
    if not (1 <= bits <= _MAX_PREFIX_BITS and bits <= whole <= bits + MAX_EXTRA_BITS):
        raise refuse(Reason.BROKEN_HEADER, f"a Huffman code of {bits} and {whole} bits", value=bits)
    if value and whole > bits:
        raise refuse(Reason.UNSUPPORTED_FORMAT, "a Huffman code with a base value and further bits")
    prefix = tuple(base >> place & 1 for place in range(bits))
    if stays:
        return Code(prefix, whole - bits, value)
    if not 1 <= value <= tables:
        raise refuse(Reason.BROKEN_HEADER, f"a switch to Huffman table {value} of {tables}", value=value)
    return Code(prefix, whole - bits, 0, value - 1)


@lru_cache
def _default() -> Tables:
    """Return the standard's table: unary magnitude and sign up to 8, then 8 or 16 bits (EN 1064, C.3.7.6)."""
    small = [
        Code((*(1,) * magnitude, 0, int(sign < 0)), 0, sign * magnitude)
        for magnitude in range(1, 9)
        for sign in (1, -1)
    ]
    escape = (1,) * 9
    return _grown([[Code((0,), 0, 0), *small, Code((*escape, 0), 8, 0), Code((*escape, 1), 16, 0)]])


def _grown(tables: Sequence[Sequence[Code]]) -> Tables:
    nodes, roots, leaves = list[list[int]](), list[int](), list[tuple[int, int, int]]()
    for table in tables:
        roots.append(len(nodes))
        nodes.append([0, 0])
        for code in table:
            _insert(nodes, roots[-1], code.prefix, -1 - len(leaves))
            leaves.append((code.extra_bits, code.value, code.table))
    if not leaves:
        raise refuse(Reason.BROKEN_HEADER, "section 2 of the SCP-ECG file has no Huffman code")
    return Tables(*(np.array(values, np.int32) for values in (nodes, leaves, roots)))


def _insert(nodes: list[list[int]], node: int, prefix: Sequence[int], leaf: int) -> None:
    """Add a prefix to the tree. Raises UnusableEcgError if one code is the start of another."""
    for bit in prefix[:-1]:
        if nodes[node][bit] == 0:
            nodes[node][bit] = len(nodes)
            nodes.append([0, 0])
        node = nodes[node][bit]
        if node < 0:
            break
    if node < 0 or nodes[node][prefix[-1]]:
        raise refuse(Reason.BROKEN_HEADER, "the SCP-ECG file has a Huffman code that starts another")
    nodes[node][prefix[-1]] = leaf


@compiled_exactly
def _decode(
    content: NDArray[np.uint8],
    samples: int,
    tree: NDArray[np.int32],
    leaves: NDArray[np.int32],
    roots: NDArray[np.int32],
) -> tuple[NDArray[np.int32], int, bool]:
    """Return the numbers, how many were found, and False if a bit pattern is no code."""
    numbers = np.zeros(samples, np.int32)
    root = node = roots[0]
    bits, at, found = 8 * len(content), 0, 0
    while found < samples and at < bits:
        node = tree[node, (content[at >> 3] >> (7 - (at & 7))) & 1]
        at += 1
        if node > 0:
            continue
        if node == 0:
            return numbers, found, False
        extra, value, table = leaves[-1 - node]
        if at + extra > bits:
            break
        number = 0
        for _ in range(extra):
            number = number << 1 | (content[at >> 3] >> (7 - (at & 7))) & 1
            at += 1
        if extra > 0 and number >> (extra - 1):
            number -= 1 << extra
        if table >= 0:
            root = roots[table]
        else:
            numbers[found] = value + number
            found += 1
        node = root
    return numbers, found, True
