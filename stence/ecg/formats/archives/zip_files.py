"""Members of a zip file (PKWARE APPNOTE 6.3), stored or deflated, through its central directory."""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from stence.ecg.formats.archives.budget import Budget
from stence.ecg.formats.archives.paths import unsafe
from stence.ecg.reasons import Reason, refuse

_LOCAL_MAGIC, _ENTRY_MAGIC, _END_MAGIC = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_LOCAL = struct.Struct("<4s22xHH")
"""Magic, lengths of name and extra field (4.3.7)."""
_ENTRY = struct.Struct("<4s4xHH4xLLLHHH4xLL")
"""Magic, flags, method, CRC-32, packed and full size, three lengths, attributes, place (4.3.12)."""
_END = struct.Struct("<4s6xHLLH")
"""Magic, members, size and place of the directory, length of the comment (4.3.16)."""
_MAX_COMMENT = 0xFFFF
_ENCRYPTED, _UTF_8 = 0x1, 0x800
_STORED, _DEFLATED = 0, 8
_WINDOW_BITS = -15
"""For zlib: the largest window, without header."""


class _Entry(NamedTuple):
    path: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    mode: int
    place: int


def recognises(content: bytes) -> bool:
    """Return True if the bytes begin as a zip file."""
    return content.startswith((_LOCAL_MAGIC, _END_MAGIC))


def files(content: bytes, budget: Budget) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of the regular files. Raises UnusableEcgError as ``archives.members``."""
    left = len(content)
    for entry in _directory(content, budget):
        left -= entry.packed
        if left < 0:
            raise unsafe("members that overlap")  # each inflates the same bytes once more
        if not entry.path.endswith("/"):
            yield entry.path, _content(content, entry, budget)


def _directory(content: bytes, budget: Budget) -> Iterator[_Entry]:
    end = content.rfind(_END_MAGIC, max(0, len(content) - _END.size - _MAX_COMMENT))
    if end < 0 or end + _END.size > len(content):
        raise refuse(Reason.TRUNCATED, "the zip file ends before its directory")
    _, count, size, _, _ = _END.unpack_from(content, end)
    budget.count_members(count)
    at = end - size
    for _ in range(count):
        if at < 0 or at + _ENTRY.size > end or not content.startswith(_ENTRY_MAGIC, at):
            raise refuse(Reason.BROKEN_HEADER, "the zip file's directory is damaged, or of the kind Zip64")
        entry, at = _entry(content, at)
        yield entry


def _entry(content: bytes, at: int) -> tuple[_Entry, int]:
    """Read one entry of the directory. Return it, and the place of the next one."""
    _, flags, method, crc, packed, size, name, extra, comment, attributes, place = _ENTRY.unpack_from(
        content, at
    )
    start = at + _ENTRY.size
    path = content[start : start + name].decode("utf-8" if flags & _UTF_8 else "cp437", "replace")
    entry = _Entry(path, flags, method, crc, packed, size, attributes >> 16, place)
    return entry, start + name + extra + comment


def _content(content: bytes, entry: _Entry, budget: Budget) -> bytes:
    _check_kind(entry)
    if not content.startswith(_LOCAL_MAGIC, entry.place) or entry.place + _LOCAL.size > len(content):
        raise refuse(Reason.BROKEN_HEADER, "the zip file's directory names a place without a member")
    _, name, extra = _LOCAL.unpack_from(content, entry.place)
    start = entry.place + _LOCAL.size + name + extra
    data = _unpacked(memoryview(content)[start : start + entry.packed], entry, budget)
    if len(data) != entry.size:
        raise refuse(Reason.TRUNCATED, f"a member has {len(data)} of {entry.size} bytes", value=len(data))
    if zlib.crc32(data) != entry.crc:
        raise refuse(Reason.CHECKSUM_MISMATCH, "a member of the zip file does not match its checksum")
    return data


def _check_kind(entry: _Entry) -> None:
    if stat.S_IFMT(entry.mode) not in (0, stat.S_IFREG):
        raise unsafe("a symbolic link or device")
    if entry.flags & _ENCRYPTED:
        raise refuse(Reason.UNSUPPORTED_FORMAT, "the zip file is encrypted; export it without a password")
    if entry.method not in (_STORED, _DEFLATED):
        raise refuse(Reason.UNSUPPORTED_FORMAT, f"a zip file with compression method {entry.method}")


def _unpacked(packed: memoryview, entry: _Entry, budget: Budget) -> bytes:
    if entry.method == _DEFLATED:
        return budget.inflate(packed, _WINDOW_BITS)
    budget.spend(len(packed))
    return bytes(packed)
