"""Bytes read from front to back, for binary formats. What is not there is never read."""

from __future__ import annotations

from typing import Literal

from stence.ecg.reasons import Reason, refuse

ByteOrder = Literal["little", "big"]


class Cursor:
    """Position in a part of a file. Each read moves it forward.

    >>> cursor = Cursor(b"\\x01\\x02\\x03", "the example")
    >>> cursor.number(2), cursor.left
    (513, 1)
    """

    def __init__(self, content: bytes, part: str, order: ByteOrder = "little") -> None:
        self._content = content
        self._at = 0
        self._part = part
        self.order: ByteOrder = order

    @property
    def left(self) -> int:
        """Number of bytes after the position."""
        return len(self._content) - self._at

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes. Raises UnusableEcgError (``TRUNCATED``) if there are fewer."""
        if count > self.left:
            detail = f"{self._part} ends {count - self.left} bytes too early"
            raise refuse(Reason.TRUNCATED, detail, value=self.left)
        self._at += count
        return self._content[self._at - count : self._at]

    def number(self, size: int, *, signed: bool = False) -> int:
        """Return the next integer of ``size`` bytes. Raises UnusableEcgError (``TRUNCATED``)."""
        return int.from_bytes(self.take(size), self.order, signed=signed)
