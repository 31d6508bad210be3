"""Opening of DICOM files (PS3.10 7): the mark, the transfer syntax, and bounded inflation."""

from __future__ import annotations

import zlib

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from stence.ecg.formats.dicom_elements import Elements, Item
from stence.ecg.formats.limits import Limits
from stence.ecg.reasons import Reason, refuse

_MARK_AT, _MARK = 128, b"DICM"
_META_GROUP = b"\x02\x00"
_FIRST_ELEMENTS = frozenset(b"\x08\x00" + number.to_bytes(2, "little") for number in (0, 1, 5, 8, 0x12, 0x16))
"""Elements that a data set starts with: group length, character set, image type, creation date, class."""
_META_START = b"\x02\x00\x00\x00UL\x04\x00"
_LONG_META_VRS = (b"OB", b"UN")
_TRANSFER_SYNTAX = b"\x02\x00\x10\x00"
_VRS = frozenset({b"CS", b"DA", b"UI", b"UL"})
_MAX_IMPLICIT_LENGTH = 256


def recognises(content: bytes) -> bool:
    """Return True for the DICOM prefix, or for a file without it that starts with a usual first element."""
    return content[_MARK_AT : _MARK_AT + 4] == _MARK or content.startswith(_META_START) or _is_bare(content)


def _is_bare(content: bytes) -> bool:
    """Return True if an element of group 0008 stands first, with a possible type or a small even length."""
    if content[:4] not in _FIRST_ELEMENTS or len(content) <= _MARK_AT:
        return False
    length = int.from_bytes(content[4:8], "little")
    return content[4:6] in _VRS or (length <= _MAX_IMPLICIT_LENGTH and length % 2 == 0)


def opened(content: bytes, limits: Limits) -> tuple[Item, str]:
    """Return the data set, and the byte order of its samples in numpy's notation.

    Raises UnusableEcgError for a deflated file beyond the limits, and TooManyElementsError.
    """
    start = _MARK_AT + 4 if content[_MARK_AT : _MARK_AT + 4] == _MARK else 0
    if content[start : start + 2] != _META_GROUP:
        is_explicit = content[start + 4 : start + 6].isalpha()
        return Elements(content, start, limits, explicit=is_explicit, little_endian=True).root(), "<"
    start, syntax = _meta(content, start)
    if syntax == DeflatedExplicitVRLittleEndian:
        content, start = _inflated(content[start:], limits), 0
    is_little, is_explicit = syntax != ExplicitVRBigEndian, syntax != ImplicitVRLittleEndian
    elements = Elements(content, start, limits, explicit=is_explicit, little_endian=is_little)
    return elements.root(), "<" if is_little else ">"


def _meta(content: bytes, at: int) -> tuple[int, str]:
    """Return where the file meta information ends, and the transfer syntax that it names (PS3.10 7.1)."""
    syntax = ""
    while content[at : at + 2] == _META_GROUP:
        tag, vr = content[at : at + 4], content[at + 4 : at + 6]
        long = vr in _LONG_META_VRS
        start = at + (12 if long else 8)
        stop = start + int.from_bytes(content[at + 8 : start] if long else content[at + 6 : start], "little")
        if tag == _TRANSFER_SYNTAX:
            syntax = content[start : min(stop, start + 64)].decode("latin-1").strip(" \0")
        at = stop
    return at, syntax


def _inflated(deflated: bytes, limits: Limits) -> bytes:
    """Inflate (PS3.5 A.5), to at most the limits."""
    most = min(limits.expanded_bytes, limits.expansion * len(deflated))
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = stream.decompress(deflated, most + 1)
    except zlib.error:
        raise refuse(Reason.BROKEN_SIGNAL, "the deflated DICOM file cannot be inflated") from None
    if len(inflated) > most:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, f"the deflated DICOM file inflates beyond {most} bytes")
    if not stream.eof:
        raise refuse(Reason.TRUNCATED, "the deflated DICOM file ends too early", value=len(inflated))
    return inflated
