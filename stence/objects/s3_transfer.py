"""Transfer of one object from an S3 service: resume, verify, time out, and attribute failures."""

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
"""Interrupted transfers of one object before the object is considered faulty."""
ROUNDS = 2
"""Unanswered requests for one object before it is considered faulty; each request has several attempts."""
GRACE_SECONDS, SLOWEST_BYTES_A_SECOND = 15.0, 25_000
"""Time limit of an object: the grace time, plus its size divided by the slowest rate."""

T = TypeVar("T")

_PLAIN_MD5 = re.compile(r"[0-9a-f]{32}")


class Trial:
    """Failures of one object; each failure is compared with the store's answers for other objects."""

    def __init__(self, key: str, place: str, serves_others: Callable[[], bool]) -> None:
        self._key = key
        self._place = place
        self._serves_others = serves_others
        self._failures = 0

    def of(self, action: Callable[[], T]) -> T:
        """Return the result of ``action``, after retries. Raises as ``judge``; other errors pass through."""
        while True:
            try:
                return action()
            except (UnansweredError, UnexpectedAnswerError) as failure:
                self.judge(failure)

    def judge(self, failure: UnansweredError | UnexpectedAnswerError) -> None:
        """Return if a retry makes sense.

        Raises the failure itself if the store serves no other object either. Raises ObjectUnreadableError if
        the store serves others and this object has failed too often.
        """
        self._failures += 1
        if not self._serves_others():
            raise failure
        if self._failures >= (BROKEN_TRANSFERS if isinstance(failure, BrokenTransferError) else ROUNDS):
            raise ObjectUnreadableError(
                f"{self._place} serves other objects, but not this one ({failure.why}); "
                "check the object there, then retry",
                self._key,
            ) from None


class Transfer:
    """State of an object's transfer; ``answer`` is the first response, later responses may resume it."""

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
        """MD5 of the bytes received so far."""
        return self._md5.hexdigest()

    @property
    def is_as_stated(self) -> bool:
        """True if the MD5 matches the ETag, or if the ETag is no MD5 (multipart uploads, KMS encryption)."""
        return self._stated_md5 in (None, self.md5)

    def go_on(self, answer: GetObjectOutputTypeDef) -> None:
        """Resume from another response. Raises ObjectUnreadableError if it is not the rest of the object."""
        if answer["ETag"] != self._etag or answer["ContentLength"] != self.size - self.received:
            answer["Body"].close()
            raise ObjectUnreadableError("the object was replaced while it was read; retry", self.key)
        self._body = answer["Body"]

    def pieces(self) -> Iterator[bytes]:
        """Yield the content of the last response in pieces of about CHUNK_BYTES.

        Raises ObjectUnreadableError if the transfer is too slow. Time between two pieces belongs to the
        caller and does not count.
        """
        with closing(self._body) as body:
            vars(body)["_raw_stream"] = _AvailableBytes(vars(body)["_raw_stream"])
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
                "check the store, then retry",
                self.key,
            )
        return part

    def _taken(self, piece: bytearray) -> bytes:
        self.received += len(piece)
        self._md5.update(piece)
        return bytes(piece)


class _AvailableBytes:
    """Raw stream of a response that returns available bytes; plain ``read(n)`` would wait for n bytes."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def read(self, amount: int) -> bytes:
        """Return up to ``amount`` bytes; none at the end."""
        return self._raw.read1(amount)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)
