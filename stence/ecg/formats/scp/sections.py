"""Record, pointers and sections of SCP-ECG (EN 1064, 5.2 and 5.3)."""

from __future__ import annotations

import struct
from binascii import crc_hqx
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

from stence.ecg.formats.cursor import Cursor
from stence.ecg.reasons import Reason, refuse

MAX_POINTERS = 256
"""Section numbers above are not in use: 0 to 18 belong to the standard, 128 to 255 to manufacturers."""
_RECORD = struct.Struct("<HI")
_HEADER = struct.Struct("<HHIBB6x")
_POINTER = struct.Struct("<HII")
_READ = frozenset({0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12})
_FIRST_INDEX = _RECORD.size + 1


class Section(NamedTuple):
    """One section: its number, the protocol's version times ten, and the bytes after its header."""

    number: int
    protocol: int
    body: bytes

    def cursor(self) -> Cursor:
        """Return a cursor at the start of the body."""
        return Cursor(self.body, f"section {self.number} of the SCP-ECG file")


def is_first_pointer(content: bytes) -> bool:
    """Return True if section 0 starts after the record's header and points to itself."""
    start = _RECORD.size + _HEADER.size
    if len(content) < start + _POINTER.size:
        return False
    _, number, length, _, _ = _HEADER.unpack_from(content, _RECORD.size)
    return number == 0 and _POINTER.unpack_from(content, start) == (0, length, _FIRST_INDEX)


def split(content: bytes) -> Mapping[int, Section]:
    """Return the sections that stence reads, by number, after verification of all their checksums.

    Raises UnusableEcgError if a section is outside the file, overlaps another, is named twice, or has another
    checksum than its bytes.
    """
    checksum, size = _RECORD.unpack_from(content)
    if size > len(content):
        detail = f"the SCP-ECG file has {len(content)} of {size} bytes"
        raise refuse(Reason.TRUNCATED, detail, value=len(content))
    record = content[:size]
    _verify(checksum, record, "file")
    return {pointer[0]: _section(record, *pointer) for pointer in _pointers(record)}


def _pointers(record: bytes) -> list[tuple[int, int, int]]:
    """Return number, length and start of the sections that are read and not empty."""
    length = _HEADER.unpack_from(record, _RECORD.size)[2]
    count, rest = divmod(length - _HEADER.size, _POINTER.size)
    if rest or not 1 <= count <= MAX_POINTERS or _RECORD.size + length > len(record):
        raise refuse(Reason.BROKEN_HEADER, f"section 0 of the SCP-ECG file has {length} bytes", value=length)
    start = _RECORD.size + _HEADER.size
    entries = _POINTER.iter_unpack(record[start : start + count * _POINTER.size])
    pointers = [(number, size, index - 1) for number, size, index in entries if size and number in _READ]
    if len({number for number, _, _ in pointers}) < len(pointers):
        raise refuse(Reason.BROKEN_HEADER, "the SCP-ECG file points to one section twice")
    ends = sorted((start, start + size) for _, size, start in pointers)
    if any(after[0] < before[1] for before, after in pairwise(ends)):
        raise refuse(Reason.BROKEN_HEADER, "sections of the SCP-ECG file overlap")
    return pointers


def _section(record: bytes, number: int, length: int, start: int) -> Section:
    content = record[max(start, 0) : start + length]
    if start < _RECORD.size or len(content) < max(length, _HEADER.size):
        raise refuse(Reason.BROKEN_HEADER, f"section {number} lies outside the SCP-ECG file", value=number)
    checksum, own_number, own_length, _, protocol = _HEADER.unpack_from(content)
    if (own_number, own_length) != (number, length):
        detail = f"section {number} of the SCP-ECG file is not where its pointer says"
        raise refuse(Reason.BROKEN_HEADER, detail, value=number)
    _verify(checksum, content, f"section {number}")
    return Section(number, protocol, content[_HEADER.size :])


def _verify(checksum: int, content: bytes, part: str) -> None:
    """Compare the CRC-CCITT of all bytes after the checksum itself (EN 1064, 5.2.4)."""
    if crc_hqx(content[2:], 0xFFFF) != checksum:
        raise refuse(Reason.CHECKSUM_MISMATCH, f"the SCP-ECG {part} does not match its checksum")
