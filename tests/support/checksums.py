"""Right checksums for mutated files, so that mutations get behind the check."""

from __future__ import annotations

import struct
from binascii import crc_hqx

_SECTION_ZERO = 22
"""First byte of the pointers in section 0 of SCP-ECG."""
_TAR_BLOCK = 512


def repaired(content: bytes) -> bytes:
    """Return the content with right checksums, if it is SCP-ECG or starts as a tar file."""
    if content[16:22] == b"SCPECG":
        return _scp(bytearray(content))
    return _tar(bytearray(content)) if content[257:262] == b"ustar" else content


def _scp(content: bytearray) -> bytes:
    (length,) = struct.unpack_from("<I", content, 10)
    for at in range(_SECTION_ZERO, min(_SECTION_ZERO + 10 * 20, length, len(content) - 10), 10):
        _, size, index = struct.unpack_from("<HII", content, at)
        if index > 7 and index + 1 <= len(content) and size >= 16:
            _put(content, index - 1, index - 1 + size)
    _put(content, 6, 6 + length)
    content[2:6] = struct.pack("<I", len(content))
    _put(content, 0, len(content))
    return bytes(content)


def _put(content: bytearray, start: int, end: int) -> None:
    """Write the CRC-CCITT of what follows it in a stretch (EN 1064, 5.2.4)."""
    if start + 2 <= len(content):
        struct.pack_into("<H", content, start, crc_hqx(bytes(content[start + 2 : end]), 0xFFFF))


def _tar(content: bytearray) -> bytes:
    total = sum(content[:148]) + 8 * 32 + sum(content[156:_TAR_BLOCK])
    content[148:156] = b"%06o\0 " % total
    return bytes(content)
