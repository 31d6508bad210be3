"""Tags, lengths and values of MFER (ISO 22077-1, 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import NamedTuple

from stence.ecg.formats.cursor import ByteOrder, Cursor
from stence.ecg.formats.limits import Limits
from stence.ecg.reasons import Reason, refuse

_PART = "the MFER file"
_LONG = 0x80
_MAX_LENGTH_BYTES = 8
_MAX_NUMBER_BYTES = 8


class Tag(IntEnum):
    """Tags that are read. Others are passed over by their length."""

    BYTE_ORDER = 0x01
    CHARACTERS = 0x03
    BLOCK = 0x04
    CHANNELS = 0x05
    SEQUENCES = 0x06
    WAVEFORM_TYPE = 0x08
    LEAD = 0x09
    DATA_TYPE = 0x0A
    INTERVAL = 0x0B
    RESOLUTION = 0x0C
    OFFSET = 0x0D
    COMPRESSION = 0x0E
    FILTER = 0x11
    NULL = 0x12
    DEVICE = 0x17
    WAVEFORM = 0x1E
    CHANNEL = 0x3F
    SKEW = 0x43
    END = 0x80
    PATIENT = 0x82
    AGE = 0x83
    SEX = 0x84
    TIME = 0x85


class Value(NamedTuple):
    """Content of an element, and the byte order that held where it stood."""

    content: bytes
    order: ByteOrder

    def number(self, start: int = 0, stop: int | None = None, *, signed: bool = False) -> int:
        """Return the integer in these bytes; 0 if there are none.

        Raises UnusableEcgError for more than eight bytes: no number of the standard has as many.
        """
        if len(self.content[start:stop]) > _MAX_NUMBER_BYTES:
            raise refuse(Reason.BROKEN_HEADER, f"{_PART} has a number of more than eight bytes")
        return int.from_bytes(self.content[start:stop], self.order, signed=signed)


class Elements(NamedTuple):
    """Values of a file by tag, and those of single channels, which override the file's."""

    root: dict[int, Value]
    channels: dict[int, dict[int, Value]]

    def of_channel(self, channel: int) -> Mapping[int, Value]:
        """Return the values that hold for a channel."""
        return self.root | self.channels.get(channel, {})


def read(content: bytes, limits: Limits) -> Elements:
    """Return the elements up to the end tag.

    Raises UnusableEcgError if an element is longer than the file, if the file has several waveforms, or if it
    names several patients.
    """
    elements = Elements({}, {})
    cursor, budget = Cursor(content, _PART, "big"), iter(range(limits.elements))
    for tag, channel, value in _parsed(cursor, budget):
        _check_single(elements.root, tag, value)
        if tag == Tag.BYTE_ORDER:
            cursor.order = "little" if value.number() else "big"
        elif tag == Tag.CHANNELS:
            elements.channels.clear()
        if channel is None:
            elements.root[tag] = value
        else:
            nested = Cursor(value.content, f"channel {channel} of {_PART}", cursor.order)
            own = {tag: value for tag, number, value in _parsed(nested, budget) if number is None}
            elements.channels.setdefault(channel, {}).update(own)
    return elements


def _check_single(root: Mapping[int, Value], tag: int, value: Value) -> None:
    if tag == Tag.WAVEFORM and tag in root:
        raise refuse(Reason.UNSUPPORTED_FORMAT, "an MFER file with several waveforms")
    if tag == Tag.PATIENT and root.get(tag, value).content != value.content:
        raise refuse(Reason.UNREADABLE_PATIENT, f"{_PART} names several patients")


def _parsed(cursor: Cursor, budget: Iterator[int]) -> Iterator[tuple[int, int | None, Value]]:
    """Yield tag, number of the channel that it is for, and value. ``budget`` runs out on hostile files."""
    while cursor.left and (tag := cursor.number(1)) != Tag.END:
        if next(budget, None) is None:
            raise refuse(Reason.IMPLAUSIBLE_SIZE, f"{_PART} has too many elements")
        channel = cursor.number(1) if tag == Tag.CHANNEL else None
        if channel is not None and channel & _LONG:
            raise refuse(Reason.UNSUPPORTED_FORMAT, "an MFER file that describes groups of channels")
        yield tag, channel, Value(cursor.take(_length(cursor)), cursor.order)


def _length(cursor: Cursor) -> int:
    """Return a length below 128, or one in as many bytes as the first byte's low bits say, highest first."""
    first = cursor.number(1)
    if first < _LONG:
        return first
    size = first - _LONG
    if not 1 <= size <= _MAX_LENGTH_BYTES:
        raise refuse(Reason.UNSUPPORTED_FORMAT, f"{_PART} has an element without a definite length")
    return int.from_bytes(cursor.take(size), "big")
