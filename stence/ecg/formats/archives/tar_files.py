"""Members of a tar file: POSIX ustar and pax (IEEE 1003.1 pax), and GNU tar."""

from __future__ import annotations

from collections.abc import Iterator

from stence.ecg.formats.archives.budget import Budget
from stence.ecg.formats.archives.paths import unsafe
from stence.ecg.reasons import Reason, refuse

_BLOCK = 512
_MAX_NAME_BLOCK = 2**16
_REGULAR, _FOLDER = b"0\0", b"5"
_PAX, _PAX_FOR_ALL, _GNU_NAME = b"x", b"g", b"L"


def recognises(content: bytes) -> bool:
    """Return True if the bytes begin with a tar header (``ustar`` at byte 257, as POSIX and GNU write)."""
    return content[257:262] == b"ustar"


def files(content: bytes, budget: Budget) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of the regular files. Raises UnusableEcgError as ``archives.members``."""
    at, long_path = 0, ""
    while (header := content[at : at + _BLOCK]).strip(b"\0"):
        budget.count_members()
        _check(header)
        size, kind = _octal(header[124:136]), header[156:157]
        data = content[at + _BLOCK : at + _BLOCK + size]
        if len(data) < size:
            detail = f"a member of the tar file has {len(data)} of {size} bytes"
            raise refuse(Reason.TRUNCATED, detail, value=len(data))
        if kind in _REGULAR:
            yield long_path or _path(header), data
        elif kind not in (_FOLDER, _PAX, _PAX_FOR_ALL, _GNU_NAME):
            raise unsafe("a link, a device or a sparse file")
        long_path = _long_path(kind, data)
        at += _BLOCK * (1 + -(-size // _BLOCK))


def _check(header: bytes) -> None:
    """Compare the checksum: the sum of the header's bytes, with spaces for the checksum itself."""
    if len(header) < _BLOCK or sum(header) - sum(header[148:156]) + 8 * 32 != _octal(header[148:156]):
        raise refuse(Reason.BROKEN_HEADER, "a header of the tar file does not match its checksum")


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not digits or digits.strip(b"01234567"):
        raise refuse(Reason.BROKEN_HEADER, "a header of the tar file has an invalid number")
    return int(digits, 8)


def _path(header: bytes) -> str:
    name, prefix = (_text(header[start:end].split(b"\0", 1)[0]) for start, end in ((0, 100), (345, 500)))
    is_posix = header[257:263] == b"ustar\0"  # GNU tar uses the prefix's place for other things
    return f"{prefix}/{name}" if prefix and is_posix else name


def _long_path(kind: bytes, data: bytes) -> str:
    """Return the path that this member gives the next one; empty if it gives none."""
    if kind not in (_PAX, _GNU_NAME):
        return ""
    if len(data) > _MAX_NAME_BLOCK:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, f"a name of {len(data)} bytes in the tar file", value=len(data))
    return _text(data.rstrip(b"\0")) if kind == _GNU_NAME else _pax_path(data)


def _pax_path(data: bytes) -> str:
    """Return ``path`` of the records ``LENGTH KEY=VALUE``. Raises UnusableEcgError for a size given here."""
    path = ""
    for record in data.split(b"\n"):
        key, _, value = record.partition(b" ")[2].partition(b"=")
        if key == b"path":
            path = _text(value)
        elif key == b"size" or key.startswith(b"GNU.sparse"):
            raise refuse(Reason.UNSUPPORTED_FORMAT, "a sparse or very large member in the tar file")
    return path


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
