"""SCP-ECG files, encoded by the standard (EN 1064) and apart from the reader."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CODES = {"I": 1, "II": 2, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64} | {
    f"V{number}": number + 2 for number in range(1, 7)
}
DEFAULT_TABLE = 19999


class Line(NamedTuple):
    """One code of a Huffman table: prefix in transmission order, bits that follow, value, table to go to."""

    prefix: str
    extra: int = 0
    value: int = 0
    table: int | None = None


Table = Sequence[Line]
DEFAULT: Table = (
    Line("0"),
    *(Line("1" * abs(value) + "0" + "01"[value < 0], 0, value) for value in range(-8, 9) if value),
    Line("1111111110", 8),
    Line("1111111111", 16),
)


@dataclass
class Beats:
    """A reference beat (leads, m) with its fiducial sample, and beats (type, first, fiducial, last)."""

    reference: NDArray[np.integer]
    fiducial: int
    places: Sequence[tuple[int, int, int, int]]
    step: int = 2500
    interval: int | None = None


@dataclass
class Scp:
    """What to write. ``signal`` (leads, n) in steps of ``step`` nanovolts, ``interval`` in microseconds."""

    signal: NDArray[np.integer]
    leads: Sequence[int]
    step: int = 2500
    interval: int = 2000
    differences: int = 0
    tables: Sequence[Table] | None = None
    beats: Beats | None = None
    bimodal: int = 0
    flags: int | None = None
    starts: Sequence[int] | None = None
    tags: Sequence[tuple[int, bytes]] = ()
    protocol: int = 20
    more: Mapping[int, bytes] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """The whole file."""
        return record(self.sections(), self.protocol)

    def sections(self) -> dict[int, bytes]:
        """Bodies of the sections, by number."""
        bodies = {1: _tags(self.tags), 3: self._leads(), 6: self._rhythm()}
        if self.tables is not None:
            bodies[2] = _tables(self.tables)
        if self.beats is not None:
            bodies |= {4: self._places(), 5: self._reference()}
        return dict(sorted((bodies | dict(self.more)).items()))

    def _leads(self) -> bytes:
        count, samples = self.signal.shape
        flags = (count << 3 | 4 | bool(self.beats)) if self.flags is None else self.flags
        starts = self.starts or [1] * count
        lines = (
            struct.pack("<IIB", start, start + samples - 1, code)
            for start, code in zip(starts, self.leads, strict=True)
        )
        return struct.pack("<BB", count, flags) + b"".join(lines)

    def _rhythm(self) -> bytes:
        return self._blocks(self.residual(), self.step, self.interval, self.bimodal)

    def residual(self) -> NDArray[np.integer]:
        """The signal less the reference beats, in steps."""
        rest = self.signal.astype(np.int64)
        if self.beats is None:
            return rest
        rest = rest.copy()
        for kind, first, fiducial, last in self.beats.places:
            for sample in range(first, last + 1) if kind == 0 else ():
                place = sample - fiducial + self.beats.fiducial
                if 1 <= place <= self.beats.reference.shape[1] and 1 <= sample <= rest.shape[1]:
                    size = self.beats.step // self.step
                    rest[:, sample - 1] -= self.beats.reference[:, place - 1].astype(np.int64) * size
        return rest

    def _places(self) -> bytes:
        assert self.beats
        interval = self.beats.interval or self.interval
        length = round(self.beats.reference.shape[1] * interval / 1000)
        head = struct.pack("<HHH", length, self.beats.fiducial, len(self.beats.places))
        zones = (struct.pack("<HIII", *place) for place in self.beats.places)
        protected = (struct.pack("<II", first, last) for _, first, _, last in self.beats.places)
        return head + b"".join(zones) + b"".join(protected)

    def _reference(self) -> bytes:
        assert self.beats
        interval = self.beats.interval or self.interval
        return self._blocks(self.beats.reference, self.beats.step, interval, 0)

    def _blocks(self, signal: NDArray[np.integer], step: int, interval: int, flag: int) -> bytes:
        blocks = [self._block(row.tolist()) for row in signal]
        sizes = struct.pack(f"<{len(blocks)}H", *map(len, blocks))
        return struct.pack("<HHBB", step, interval, self.differences, flag) + sizes + b"".join(blocks)

    def _block(self, samples: list[int]) -> bytes:
        for _ in range(self.differences):
            samples = samples[:1] + [after - before for before, after in pairwise(samples)]
        if self.differences == 2:  # the second number is a sample again, not a difference
            samples[1] += 2 * samples[0]
        samples = [(number + 2**15) % 2**16 - 2**15 for number in samples]
        if self.tables is None:
            return struct.pack(f"<{len(samples)}h", *samples)
        return huffman(samples, self.tables)


def huffman(samples: Sequence[int], tables: Sequence[Table]) -> bytes:
    """Code numbers, with switches of the table where the present one has no code. Pads to an even length."""
    bits, table = list[str](), 0
    for number in samples:
        if (code := _code(number, tables[table])) is None:
            switch = next(line for line in tables[table] if line.table is not None)
            bits.append(switch.prefix)
            table = switch.table or 0
            code = _code(number, tables[table])
        assert code is not None
        bits.append(code)
    joined = "".join(bits)
    joined += "0" * (-len(joined) % 16)
    return int("1" + joined, 2).to_bytes(len(joined) // 8 + 1, "big")[1:]


def _code(number: int, table: Table) -> str | None:
    for line in table:
        if line.table is None and line.extra == 0 and line.value == number:
            return line.prefix
        if line.extra and -(1 << line.extra - 1) <= number < 1 << line.extra - 1:
            return line.prefix + f"{number & (1 << line.extra) - 1:0{line.extra}b}"
    return None


def _tables(tables: Sequence[Table]) -> bytes:
    if tables == (DEFAULT,):
        return struct.pack("<H", DEFAULT_TABLE)
    parts = [struct.pack("<H", len(tables))]
    for table in tables:
        parts.append(struct.pack("<H", len(table)))
        for line in table:
            stays = line.table is None
            value = line.value if line.table is None else line.table + 1
            whole, base = len(line.prefix) + line.extra, int(line.prefix[::-1], 2)
            parts.append(struct.pack("<BBBhI", len(line.prefix), whole, stays, value, base))
    return b"".join(parts)


def _tags(tags: Sequence[tuple[int, bytes]]) -> bytes:
    return b"".join(struct.pack("<BH", tag, len(value)) + value for tag, value in tags) + b"\xff\0\0"


def device(
    model: bytes = b"CART", serial: bytes = b"SN1", maker: bytes = b"Acme", language: int = 0, code: int = 100
) -> bytes:
    """Tag 14, the acquiring device."""
    head = struct.pack("<HHHBB6sBBBBB", 1, 2, 3, 0, code, model, 20, 0xA0, language, 0, 1)
    return head.ljust(35, b"\0") + bytes([4]) + b"\0".join([b"1.0", serial, b"sys", b"scp", maker, b""])


def record(bodies: Mapping[int, bytes], protocol: int = 20) -> bytes:
    """A file of these sections, with pointers and checksums."""
    numbers = [0, *bodies]
    length = 16 + 10 * max(12, len(numbers))
    at, parts, pointers = 7 + length, list[bytes](), [struct.pack("<HII", 0, length, 7)]
    for number in range(1, max(12, max(bodies) + 1)):
        part = section(number, bodies[number], protocol) if number in bodies else b""
        if number in bodies or number < 12:
            pointers.append(struct.pack("<HII", number, len(part), at if part else 0))
        parts.append(part)
        at += len(part)
    table = b"".join(pointers)
    head = section(0, table.ljust(length - 16, b"\0"), protocol, b"SCPECG")
    return checked(struct.pack("<I", 6 + len(head) + sum(map(len, parts))) + head + b"".join(parts))


def section(number: int, body: bytes, protocol: int, reserved: bytes = b"") -> bytes:
    """A section with its header; padded to an even length."""
    body += b"\0" * (len(body) % 2)
    head = struct.pack("<HIBB", number, 16 + len(body), protocol, protocol)
    return checked(head + reserved.ljust(6, b"\0") + body)


def checked(content: bytes) -> bytes:
    """The content after its CRC-CCITT (polynomial 1021h, start FFFFh), bit by bit."""
    return struct.pack("<H", _crc(content)) + content


def repaired(content: bytes) -> bytes:
    """The content with right checksums, where its pointers lead to sections, so that a reader goes on."""
    changed = bytearray(content)
    for pointer in range(22, min(len(changed), 142) - 10, 10):
        _, size, index = struct.unpack_from("<HII", changed, pointer)
        first = index - 1
        if size > 2 and first > 0 and first + size <= len(changed):
            struct.pack_into("<H", changed, first, _crc(bytes(changed[first + 2 : first + size])))
    return checked(bytes(changed[2:]))


def _crc(content: bytes) -> int:
    crc = 0xFFFF
    for byte in content:
        crc = (crc << 8 & 0xFFFF) ^ _CRC[crc >> 8 ^ byte]
    return crc


def _crc_of_byte(byte: int) -> int:
    crc = byte << 8
    for _ in range(8):
        crc = crc << 1 ^ (0x1021 if crc & 0x8000 else 0)
    return crc & 0xFFFF


_CRC = [_crc_of_byte(byte) for byte in range(256)]
