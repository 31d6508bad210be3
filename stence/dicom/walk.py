"""DICOM elements (PS3.5 7), found in place: only what is asked for is parsed, and nothing is copied before.

pydicom builds objects for all nested elements of an ECG, most of which nobody reads. Here a sequence is
opened on access. Every element met counts against one budget of the file, and there is no recursion.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.valuerep import TEXT_VR_DELIMS

from stence.dicom.elements import MAX_TEXT_BYTES, TooManyElementsError
from stence.domain.patients import PatientIdError

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_PATIENT_ID, _CHARACTER_SET = 0x00100020, 0x00080005
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
"""Value representations with a length of four bytes after two reserved ones (PS3.5 7.1.2)."""
_INTEGERS = {"US": "H", "UL": "I", "SS": "h", "SL": "i"}


class Span(NamedTuple):
    """Place of an element's value, [start, end). ``vr`` is empty in implicit VR."""

    tag: int
    vr: bytes
    start: int
    end: int


class Reader:
    """Elements of one file, within limits. Spans end with the bytes, also where a length says otherwise."""

    def __init__(
        self, content: bytes, *, explicit: bool, little_endian: bool, elements: int, nesting: int
    ) -> None:
        self.content, self.explicit, self.little_endian = content, explicit, little_endian
        order = "<" if little_endian else ">"
        self._tag_and_length = struct.Struct(f"{order}HHI").unpack_from
        self._short, self._long = struct.Struct(f"{order}H").unpack_from, struct.Struct(f"{order}I").unpack_from
        self._left, self._nesting = elements, nesting

    def dataset(self, start: int) -> Item:
        """Return the elements from ``start`` to the end of the file."""
        return Item(self, start, len(self.content), explicit=self.explicit)

    def spans(self, start: int, end: int, *, explicit: bool) -> Iterator[Span]:
        """Yield the elements of one level, without those inside them."""
        while start + 8 <= end:
            tag, vr, start, length = self._header(start, explicit=explicit)
            if tag in (_ITEM_END, _SEQUENCE_END):
                return
            if length == _UNDEFINED:
                inner_explicit = explicit and vr != b"UN"
                stop, following = self._matching_end(start, end, explicit=inner_explicit)
            else:
                stop = following = min(start + length, end)
            yield Span(tag, vr, start, stop)
            start = following

    def _header(self, at: int, *, explicit: bool) -> tuple[int, bytes, int, int]:
        """Return tag, value representation, start and length of the element at ``at``."""
        self._left -= 1
        if self._left < 0:
            raise TooManyElementsError
        group, number, length = self._tag_and_length(self.content, at)
        tag = group << 16 | number
        if not explicit or group == 0xFFFE:
            return tag, b"", at + 8, length
        vr = self.content[at + 4 : at + 6]
        if vr not in _LONG:
            return tag, vr, at + 8, self._short(self.content, at + 6)[0]
        if at + 12 > len(self.content):
            return tag, vr, len(self.content), 0
        return tag, vr, at + 12, self._long(self.content, at + 8)[0]

    def _matching_end(self, at: int, end: int, *, explicit: bool) -> tuple[int, int]:
        """Return where a value of undefined length ends, and where the element after it starts."""
        open_levels = [explicit]
        while at + 8 <= end:
            here = at
            tag, vr, at, length = self._header(at, explicit=open_levels[-1])
            if tag in (_ITEM_END, _SEQUENCE_END):
                open_levels.pop()
                if not open_levels:
                    return here, at
            elif length != _UNDEFINED:
                at += length
            elif len(open_levels) >= self._nesting:
                raise TooManyElementsError
            else:
                open_levels.append(open_levels[-1] and vr != b"UN")
        return end, end


class Item:
    """Data set or sequence item. The last of two elements with the same tag counts, as in pydicom."""

    __slots__ = ("_explicit", "_reader", "_spans")

    def __init__(self, reader: Reader, start: int, end: int, *, explicit: bool) -> None:
        self._reader, self._explicit = reader, explicit
        self._spans: dict[int, Span] = {}
        for span in reader.spans(start, end, explicit=explicit):
            if span.tag == _PATIENT_ID and span.tag in self._spans:
                raise PatientIdError("the file has two patient numbers")
            self._spans[span.tag] = span

    def raw(self, keyword: str) -> bytes:
        """Return the stored bytes of the value, of any length; empty if it is missing."""
        span = self._spans.get(_tag(keyword))
        return self._reader.content[span.start : span.end] if span else b""

    def text(self, keyword: str, limit_bytes: int = MAX_TEXT_BYTES) -> str:
        """Return a code or label without padding; empty if it is missing or over ``limit_bytes``."""
        raw = self._short(keyword, limit_bytes)
        return raw.decode("latin-1").strip(" \0")

    def free_text(self, keyword: str, limit_bytes: int, character_sets: str) -> str:
        """Return a person's words, in the file's Specific Character Set."""
        names = character_sets.split("\\")
        if not all(name in python_encoding for name in names):
            names = ["ISO_IR 100"]
        return decode_bytes(self._short(keyword, limit_bytes), convert_encodings(names), TEXT_VR_DELIMS)

    def number(self, keyword: str) -> float | None:
        """Return a single number; None if it is missing. Raises ValueError if it is none."""
        raw = self._short(keyword, MAX_TEXT_BYTES)
        if kind := _INTEGERS.get(dictionary_VR(_tag(keyword))):
            order = "<" if self._reader.little_endian else ">"
            return float(_unpacked(order + kind, raw)) if raw else None
        written = raw.decode("latin-1").strip(" \0")
        return float(written) if written else None

    def items(self, keyword: str) -> list[Item]:
        """Return the items of a sequence; an empty list for other elements."""
        span = self._spans.get(_tag(keyword))
        if span is None or span.vr not in (b"SQ", b"UN", b""):
            return []
        explicit = self._explicit and span.vr != b"UN"
        parts = self._reader.spans(span.start, span.end, explicit=explicit)
        return [
            Item(self._reader, part.start, part.end, explicit=explicit)
            for part in parts
            if part.tag == _ITEM
        ]

    def as_pydicom(self, keywords: Iterable[str]) -> Dataset:
        """Return the elements ``keywords`` as a pydicom data set, which converts them on access."""
        spans = filter(None, (self._spans.get(_tag(keyword)) for keyword in keywords))
        return Dataset({Tag(span.tag): self._element(span) for span in spans})

    def _element(self, span: Span) -> RawDataElement:
        raw = self._reader.content[span.start : span.end]
        vr = span.vr.decode("latin-1") or None
        is_little = self._reader.little_endian
        return RawDataElement(Tag(span.tag), vr, len(raw), raw, span.start, not self._explicit, is_little)

    def _short(self, keyword: str, limit_bytes: int) -> bytes:
        span = self._spans.get(_tag(keyword))
        if span is None or span.end - span.start > limit_bytes:
            return b""
        return self._reader.content[span.start : span.end]


def _unpacked(form: str, raw: bytes) -> int:
    try:
        return int(struct.unpack(form, raw)[0])
    except struct.error:
        raise ValueError("the element is no single integer") from None


@lru_cache(256)
def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag
