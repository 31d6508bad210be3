"""MFER files, encoded by the standard (ISO 22077-1) and apart from the reader."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

PREAMBLE = b"@\x20" + b"MFR Standard 12 leads ECG".ljust(32)
END = b"\x80\0"
TYPES = {0: "i2", 1: "u2", 2: "i4", 3: "u1", 5: "i1", 6: "u4", 7: "f4", 8: "f8"}


def element(tag: int, content: bytes, channel: int | None = None) -> bytes:
    """Tag, channel where there is one, length and content."""
    size = len(content)
    width = (size.bit_length() + 7) // 8
    length = bytes([size]) if size < 128 else bytes([0x80 | width]) + size.to_bytes(width, "big")
    return bytes([tag]) + (b"" if channel is None else bytes([channel])) + length + content


@dataclass
class Mfer:
    """What to write. ``signal`` (leads, n) in steps of ``resolution`` = (mantissa, exponent) volts."""

    signal: NDArray[np.number]
    leads: Sequence[int]
    little: bool = True
    data_type: int = 0
    block: int = 100
    interval: tuple[int, int, int] = (1, -3, 2)
    """Unit (0 Hz, 1 s), exponent, mantissa."""
    resolution: tuple[int, int, int] = (0, -6, 5)
    own_resolutions: Mapping[int, tuple[int, int, int]] = field(default_factory=dict)
    kind: int = 1
    more: bytes = b""
    in_channels: bytes = b""
    end: bytes = END

    def encoded(self) -> bytes:
        """The whole file."""
        return PREAMBLE + self._head() + self._channels() + element(0x1E, self.wave()) + self.end

    def wave(self) -> bytes:
        """Sequences of blocks, one a lead."""
        count, samples = self.signal.shape
        blocks = self.signal.reshape(count, samples // self.block, self.block).transpose(1, 0, 2)
        return blocks.astype(("<" if self.little else ">") + TYPES[self.data_type]).tobytes()

    def number(self, layout: str, *values: int) -> bytes:
        """Integers in the file's byte order."""
        return struct.pack(("<" if self.little else ">") + layout, *values)

    def _head(self) -> bytes:
        count, samples = self.signal.shape
        order = element(0x01, b"\1") if self.little else b""
        return order + b"".join(
            [
                element(0x08, self.number("H", self.kind)),
                element(0x04, self.number("I", self.block)),
                element(0x05, bytes([count])),
                element(0x06, self.number("H", samples // self.block)),
                element(0x0A, bytes([self.data_type])),
                element(0x0B, self.number("Bbh", *self.interval)),
                element(0x0C, self.number("Bbh", *self.resolution)),
                self.more,
            ]
        )

    def _channels(self) -> bytes:
        return b"".join(self._channel(row, code) for row, code in enumerate(self.leads))

    def _channel(self, row: int, code: int) -> bytes:
        own = self.own_resolutions.get(row)
        resolution = element(0x0C, self.number("Bbh", *own)) if own else b""
        return element(0x3F, element(0x09, self.number("H", code)) + resolution + self.in_channels, row)
