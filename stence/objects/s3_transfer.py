"""One object on its way from an S3 service: how much came, how soon and well, and whose fault that is."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from stence.errors import ObjectUnreadableError
from stence.objects.s3_errors import BrokenTransferError, UnansweredError, UnexpectedAnswerError
from stence.objects.store import CHUNK_BYTES

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

BROKEN_TRANSFERS = 3
"""Of one object, before they are held against it."""
ROUNDS = 2
"""Of unanswered requests for one object; each is of several attempts."""
GRACE_SECONDS, SLOWEST_BYTES_A_SECOND = 15.0, 25_000
"""An object may take so long and, by its size, so much longer."""

T = TypeVar("T")

_PLAIN_MD5 = re.compile(r"[0-9a-f]{32}")


class Trial:
    """What goes wrong with one object, each time held against what the store does with others."""

    def __init__(self, key: str, place: str, serves_others: Callable[[], bool]) -> None:
        self._key = key
        self._place = place
        self._serves_others = serves_others
        self._failures = 0

    def of(self, action: Callable[[], T]) -> T:
        """What ``action`` returns, after a few tries. Raises as ``judge``, and other errors as they are."""
        while True:
            try:
                return action()
            except (UnansweredError, UnexpectedAnswerError) as failure:
                self.judge(failure)

    def judge(self, failure: UnansweredError | UnexpectedAnswerError) -> None:
        """Return if it is worth another try.

        Raises the failure itself where the store serves no other object either, and ObjectUnreadableError
        where it does and has failed this one often enough.
        """
        self._failures += 1
        if not self._serves_others():
            raise failure
        if self._failures >= (BROKEN_TRANSFERS if isinstance(failure, BrokenTransferError) else ROUNDS):
            raise ObjectUnreadableError(
                f"{self._place} serves other objects, but not this one ({failure.why}); "
                "look at it there, then retry",
                self._key,
            ) from None


class Transfer:
    """What has come of an object, whose first answer is ``answer``; it may go on in further ones."""

    def __init__(self, key: str, answer: GetObjectOutputTypeDef) -> None:
        self.key = key
        self.size: int = answer["ContentLength"]
        self.received = 0
        self._etag = answer["ETag"]
        self._body = answer["Body"]
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._seconds = 0.0
        encrypted = answer.get("SSEKMSKeyId") or answer.get("SSECustomerAlgorithm")
        etag = self._etag.strip('"')
        self._stated_md5 = etag if _PLAIN_MD5.fullmatch(etag) and not encrypted else None

    @property
    def md5(self) -> str:
        """Of what has come."""
        return self._md5.hexdigest()

    @property
    def is_as_stated(self) -> bool:
        """Whether the MD5 is the ETag's; objects put in parts or encrypted with a named key state none."""
        return self._stated_md5 in (None, self.md5)

    def go_on(self, answer: GetObjectOutputTypeDef) -> None:
        """Take the rest from another answer. Raises ObjectUnreadableError where it is not the rest."""
        if answer["ETag"] != self._etag or answer["ContentLength"] != self.size - self.received:
            answer["Body"].close()
            raise ObjectUnreadableError("the object was replaced while it was read; retry", self.key)
        self._body = answer["Body"]

    def pieces(self) -> Iterator[bytes]:
        """The content of the last answer, in pieces of about CHUNK_BYTES.

        Raises ObjectUnreadableError where it comes too slowly. Time that passes between two pieces is the
        caller's and does not count.
        """
        with closing(self._body) as body:
            vars(body)["_raw_stream"] = _WhatHasCome(vars(body)["_raw_stream"])
            piece = bytearray()
            while part := self._timed(body):
                piece += part
                if len(piece) >= CHUNK_BYTES:
                    yield self._taken(piece)
                    piece = bytearray()
            if piece:
                yield self._taken(piece)

    def _timed(self, body: StreamingBody) -> bytes:
        began = time.monotonic()
        part = body.read(CHUNK_BYTES)
        self._seconds += time.monotonic() - began
        if part and self._seconds > GRACE_SECONDS + self.size / SLOWEST_BYTES_A_SECOND:
            raise ObjectUnreadableError(
                f"the object comes too slowly: {self._seconds:.0f} s were not enough for {self.size} bytes; "
                "look at the store, then retry",
                self.key,
            )
        return part

    def _taken(self, piece: bytearray) -> bytes:
        self.received += len(piece)
        self._md5.update(piece)
        return bytes(piece)


class _WhatHasCome:
    """An answer's raw stream, read as it comes: ``read(n)`` waits for n bytes, which may be for days."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def read(self, amount: int) -> bytes:
        """Up to ``amount`` bytes; none at the end."""
        return self._raw.read1(amount)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)
