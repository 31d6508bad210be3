"""What one archive may still expand to."""

from __future__ import annotations

import zlib

from stence.ecg.formats.limits import Limits
from stence.ecg.reasons import Reason, UnusableEcgError, refuse


class Budget:
    """Bytes and members that an archive of ``size`` bytes may still give, archives in it included."""

    def __init__(self, size: int, limits: Limits) -> None:
        self._limits = limits
        self._bytes = self._most = min(limits.expanded_bytes, limits.expansion * size)
        self._members = limits.members

    def count_members(self, count: int = 1) -> None:
        """Raise UnusableEcgError if the archive has ``count`` members too many."""
        self._members -= count
        if self._members < 0:
            detail = f"the archive has more than {self._limits.members} members"
            raise refuse(Reason.IMPLAUSIBLE_SIZE, detail, value=self._limits.members)

    def spend(self, size: int) -> None:
        """Raise UnusableEcgError if ``size`` bytes more are too many."""
        self._bytes -= size
        if self._bytes < 0:
            raise self._too_large()

    def inflate(self, packed: memoryview | bytes, window_bits: int) -> bytes:
        """Inflate a whole stream of zlib's format ``window_bits``, and spend its bytes.

        Raises UnusableEcgError if the stream is truncated, or followed by more than zeros.
        """
        inflater = zlib.decompressobj(window_bits)
        content = inflater.decompress(packed, self._bytes + 1)
        self.spend(len(content))
        if not inflater.eof:
            detail = f"compressed data end after {len(content)} bytes"
            raise refuse(Reason.TRUNCATED, detail, value=len(content))
        if inflater.unused_data.strip(b"\0"):
            raise refuse(Reason.BROKEN_HEADER, "compressed data are followed by something else")
        return content

    def _too_large(self) -> UnusableEcgError:
        detail = f"it expands to more than {self._most} bytes"
        return refuse(Reason.IMPLAUSIBLE_SIZE, detail, value=self._most)
