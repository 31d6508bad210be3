"""One file compressed by gzip (RFC 1952)."""

from __future__ import annotations

from stence.ecg.formats.archives.budget import Budget
from stence.ecg.reasons import Reason, refuse

_MAGIC = b"\x1f\x8b\x08"
_WINDOW_BITS = 31
"""For zlib: the largest window, with gzip's header and checksum."""


def recognises(content: bytes) -> bool:
    """Return True if the bytes begin as a gzip file."""
    return content.startswith(_MAGIC)


def opened(path: str, content: bytes, budget: Budget) -> tuple[str, bytes]:
    """Return the path without its suffix, and the bytes. Raises UnusableEcgError if compressed twice."""
    inner = budget.inflate(content, _WINDOW_BITS)
    if recognises(inner):
        raise refuse(Reason.IMPLAUSIBLE_SIZE, "the file is compressed more than once")
    return (path[: -len(".gz")] if path.lower().endswith(".gz") else path), inner
