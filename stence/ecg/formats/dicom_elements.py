"""DICOM elements (PS3.5 7) of an ECG: one compiled pass finds them, and a value is parsed on access.

pydicom builds objects for all nested elements of an ECG, most of which nobody reads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.valuerep import TEXT_VR_DELIMS

from stence.dicom import TooManyElementsError
from stence.domain.patients import PatientIdError
from stence.ecg.formats.dicom_index import NO_VR, indexed
from stence.ecg.formats.limits import Limits

MAX_TEXT_BYTES = 256
"""Size of a long string (LO): 64 characters of up to four bytes."""
_ITEM = 0xFFFEE000
_PATIENT_ID = 0x00100020
_INTEGERS = {"US": "H", "UL": "I", "SS": "h", "SL": "i"}


class Elements:
    """Table of a file's elements, in their order. Ends are those of the file where a length says more."""

    def __init__(
        self, content: bytes, start: int, limits: Limits, *, explicit: bool, little_endian: bool
    ) -> None:
        self.content, self.explicit, self.little_endian = content, explicit, little_endian
        table = indexed(
            np.frombuffer(content, np.uint8), start, explicit, little_endian, _sequences(), limits.elements,
            limits.nesting,
        )  # fmt: skip
        if table is None:
            raise TooManyElementsError
        self.tags, self.vrs, self.starts, self.ends, self.after = table.tolist()

    def root(self) -> Item:
        """Return the data set."""
        return Item(self, 0, len(self.tags))

    def level(self, first: int, last: int) -> Iterator[int]:
        """Yield the rows of one level, without those inside them."""
        while first < last:
            yield first
            first = self.after[first]

    def raw(self, row: int) -> bytes:
        """Return the stored bytes of a value."""
        return self.content[self.starts[row] : self.ends[row]]

    def as_pydicom(self, row: int) -> RawDataElement:
        """Return an element that pydicom converts on access."""
        tag, raw, vr = Tag(self.tags[row]), self.raw(row), self.vrs[row]
        letters = vr.to_bytes(2, "big").decode("latin-1") if vr != NO_VR else None
        is_implicit = vr == NO_VR
        return RawDataElement(tag, letters, len(raw), raw, self.starts[row], is_implicit, self.little_endian)


class Item:
    """Data set or sequence item. The last of two elements with the same tag counts, as in pydicom."""

    __slots__ = ("_elements", "_rows")

    def __init__(self, elements: Elements, first: int, last: int) -> None:
        self._elements = elements
        self._rows: dict[int, int] = {}
        for row in elements.level(first, last):
            if elements.tags[row] == _PATIENT_ID and _PATIENT_ID in self._rows:
                raise PatientIdError("the file has two patient numbers")
            self._rows[elements.tags[row]] = row

    def raw(self, keyword: str) -> bytes:
        """Return the stored bytes of the value, of any length; empty if it is missing."""
        row = self._rows.get(_tag(keyword))
        return b"" if row is None else self._elements.raw(row)

    def text(self, keyword: str, limit_bytes: int = MAX_TEXT_BYTES) -> str:
        """Return a code or label without padding; empty if it is missing or over ``limit_bytes``."""
        return self._short(keyword, limit_bytes).decode("latin-1").strip(" \0")

    def words(self, keyword: str, limit_bytes: int, character_sets: str) -> str:
        """Return a person's words, in the file's Specific Character Set."""
        raw = self._short(keyword, limit_bytes)
        names = character_sets.split("\\")
        if raw.isascii() and b"\x1b" not in raw:
            return raw.decode("ascii").strip(" \0")
        if not all(name in python_encoding for name in names):
            names = ["ISO_IR 100"]
        return decode_bytes(raw, convert_encodings(names), TEXT_VR_DELIMS).strip(" \0")

    def number(self, keyword: str) -> float | None:
        """Return a single number; None if it is missing. Raises ValueError if it is no number."""
        raw = self._short(keyword, MAX_TEXT_BYTES)
        if kind := _integer(keyword):
            order = "<" if self._elements.little_endian else ">"
            return float(_unpacked(order + kind, raw)) if raw else None
        written = raw.decode("latin-1").strip(" \0")
        return float(written) if written else None

    def items(self, keyword: str) -> list[Item]:
        """Return the items of one of ``SEQUENCES``; an empty list for other elements."""
        row = self._rows.get(_tag(keyword))
        if row is None:
            return []
        elements = self._elements
        inner = elements.level(row + 1, elements.after[row])
        return [Item(elements, at + 1, elements.after[at]) for at in inner if elements.tags[at] == _ITEM]

    def as_pydicom(self, keywords: Iterable[str]) -> Dataset:
        """Return the elements ``keywords`` as a pydicom data set."""
        rows = [row for keyword in keywords if (row := self._rows.get(_tag(keyword))) is not None]
        raw = [self._elements.as_pydicom(row) for row in rows]
        return Dataset({element.tag: element for element in raw})

    def _short(self, keyword: str, limit_bytes: int) -> bytes:
        raw = self.raw(keyword)
        return raw if len(raw) <= limit_bytes else b""


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


@lru_cache(256)
def _integer(keyword: str) -> str | None:
    return _INTEGERS.get(dictionary_VR(_tag(keyword)))


SEQUENCES = (
    "RequestAttributesSequence",
    "WaveformSequence",
    "ChannelDefinitionSequence",
    "ChannelSourceSequence",
    "ChannelSensitivityUnitsSequence",
    "WaveformAnnotationSequence",
    "ConceptNameCodeSequence",
    "MeasurementUnitsCodeSequence",
)
"""Sequences whose items are read. Others are passed over, at one step if they state their length."""


@lru_cache
def _sequences() -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([_tag(keyword) for keyword in SEQUENCES], np.int64)
