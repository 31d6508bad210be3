"""A bucket of an S3 service (AWS, MinIO, Ceph) as an object store."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from stence.domain.urls import without_secrets
from stence.errors import ConfigurationError, ObjectNotFoundError, ObjectUnreadableError
from stence.objects import s3_client
from stence.objects.s3_errors import FAILURES, DamagedError, UnansweredError, is_about_the_object, meaning
from stence.objects.s3_transfer import Transfer, Trial
from stence.objects.store import Admit, Skipped, StoredObject, check_portable, check_size, is_text
from stence.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

DOWNLOADS = 3
"""Attempts to download content whose MD5 differs from its ETag."""
OTHERS = 3
"""Number of other objects to request before the store, and not the object, is considered faulty."""
OTHERS_SECONDS = 10.0


class S3Store:
    """Object store at ``url``, ``s3://bucket/prefix``.

    Connects at first use, and again in a forked process. Raises ConfigurationError for a URL without a
    bucket, or with credentials.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self._bucket, _, prefix = url.removeprefix("s3://").strip("/").partition("/")
        if not self._bucket or url.startswith("s3:///"):
            raise ConfigurationError(f"STENCE_STORE_URL={url} names no bucket: s3://bucket/prefix")
        if "@" in self._bucket or ":" in self._bucket:
            raise ConfigurationError(
                f"STENCE_STORE_URL={without_secrets(url)} holds credentials: remove them, and set "
                "STENCE_S3_ACCESS_KEY and STENCE_S3_SECRET_KEY"
            )
        self.url = f"s3://{self._bucket}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._settings = settings
        self._process: int | None = None
        self._served = ""  # the last object that was read without an error

    def __reduce__(self) -> tuple[type[S3Store], tuple[str, Settings]]:
        """Pickle without connections, for other processes."""
        return S3Store, (self.url, self._settings)

    def list(self, prefix: str, skipped: Skipped | None = None) -> Iterator[StoredObject]:
        """See ObjectStore; memory holds a page of 1000 objects. Folder markers (``name/``) are left out.

        The permission to list a bucket covers all of it, so ``skipped`` is never called.
        """
        with self._errors():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            for page in pages:
                for found in page.get("Contents", ()):
                    if not found["Key"].endswith("/"):
                        key = found["Key"].removeprefix(self._prefix)
                        yield StoredObject(key, found["ETag"].strip('"'), found["Size"])

    def head(self, key: str) -> StoredObject:
        """See ObjectStore."""
        return self._trial(key).of(lambda: self._head(key))

    def get(self, key: str, limit_bytes: int | None = None, admit: Admit | None = None) -> bytes:
        """See ObjectStore; an interrupted transfer is resumed, a damaged one is restarted.

        Content that arrives twice with the same MD5 is accepted, whatever its ETag is: some gateways send
        ETags that look like an MD5 but are not.
        """
        seen: set[str] = set()
        for _ in range(DOWNLOADS):
            transfer = self._begin(key, trial := self._trial(key), limit_bytes, admit)
            admit = None  # call it only once
            try:
                content = b"".join(self._pieces(transfer, trial))
            except DamagedError:
                continue
            if transfer.is_as_stated or transfer.md5 in seen:
                self._served = key
                return content
            seen.add(transfer.md5)
        raise self._damaged(key)

    def stream(self, key: str) -> Generator[bytes]:
        """See ObjectStore; content that does not match its ETag is fetched again and compared."""
        transfer = self._begin(key, trial := self._trial(key))
        try:
            yield from self._pieces(transfer, trial)
            if not transfer.is_as_stated and self._md5(key, trial) != transfer.md5:
                raise self._damaged(key)
        except DamagedError:
            raise self._damaged(key) from None
        self._served = key

    def put(self, key: str, content: bytes) -> None:
        """See ObjectStore; the server refuses content that does not match its Content-MD5 header."""
        check_portable(key)
        digest = hashlib.md5(content, usedforsecurity=False).digest()
        with self._errors(key):
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._full(key),
                Body=content,
                ContentMD5=base64.b64encode(digest).decode(),
            )

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        with self._errors(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._full(key))

    def _head(self, key: str) -> StoredObject:
        with self._errors(key):
            found = self._client.head_object(Bucket=self._bucket, Key=self._full(key))
        return StoredObject(key, found["ETag"].strip('"'), found["ContentLength"])

    def _begin(
        self, key: str, trial: Trial, limit_bytes: int | None = None, admit: Admit | None = None
    ) -> Transfer:
        answer = trial.of(lambda: self._fetch(key))
        try:
            check_size(key, answer["ContentLength"], limit_bytes)
            if admit is not None:
                admit(answer["ContentLength"])
        except BaseException:
            answer["Body"].close()
            raise
        return Transfer(key, answer)

    def _pieces(self, transfer: Transfer, trial: Trial) -> Generator[bytes]:
        """Yield the content; an interrupted transfer is resumed with a new request."""
        while True:
            try:
                with self._errors(transfer.key):
                    yield from transfer.pieces()
            except UnansweredError as failure:
                trial.judge(failure)
            if transfer.received >= transfer.size:
                return
            transfer.go_on(trial.of(lambda: self._fetch(transfer.key, transfer.received)))

    def _md5(self, key: str, trial: Trial) -> str:
        """Download the object again and return its MD5."""
        transfer = self._begin(key, trial)
        for _ in self._pieces(transfer, trial):
            pass
        return transfer.md5

    def _fetch(self, key: str, start: int = 0) -> GetObjectOutputTypeDef:
        options: dict[str, Any] = {"Range": f"bytes={start}-"} if start else {}
        with self._errors(key):
            return self._client.get_object(Bucket=self._bucket, Key=self._full(key), **options)

    def _trial(self, key: str) -> Trial:
        return Trial(key, self.url, lambda: self._serves_others_than(key))

    def _serves_others_than(self, key: str) -> bool:
        """True if the store serves other objects: then the failure is specific to this object."""
        until = time.monotonic() + OTHERS_SECONDS
        try:
            page = self._connected(attempts=1).list_objects_v2(Bucket=self._bucket, Prefix=self._prefix)
            listed = [found["Key"] for found in page.get("Contents", ()) if found["Size"]]
            others = [self._prefix + self._served] if self._served else []
            others += listed[:: max(1, len(listed) // OTHERS)]
            others = [other for other in others if other != self._full(key)][:OTHERS]
            return not others or any(time.monotonic() < until and self._serves(other) for other in others)
        except FAILURES:
            return False

    def _serves(self, full_key: str) -> bool:
        try:
            answer = self._connected(attempts=1).get_object(
                Bucket=self._bucket, Key=full_key, Range="bytes=0-0"
            )
            with closing(answer["Body"]) as body:
                return bool(body.read())
        except FAILURES as failure:
            return is_about_the_object(failure)

    def _damaged(self, key: str) -> ObjectUnreadableError:
        return ObjectUnreadableError(
            f"{self.url}: the object arrives damaged, each time differently; check the store, then retry",
            key,
        )

    def _full(self, key: str) -> str:
        """Return the full key in the bucket."""
        if not is_text(key):
            raise ObjectNotFoundError(f"{self.url} holds no such object", key)
        return self._prefix + key

    @property
    def _client(self) -> S3Client:
        return self._connected(s3_client.ATTEMPTS)

    def _connected(self, attempts: int) -> S3Client:
        """Return this process's client with ``attempts`` attempts; threads share it, processes cannot."""
        if self._process != os.getpid():
            self._clients: dict[int, S3Client] = {}
            self._process = os.getpid()
        if attempts not in self._clients:
            self._clients[attempts] = s3_client.connect(self._settings, attempts)
        return self._clients[attempts]

    @contextmanager
    def _errors(self, key: str | None = None) -> Iterator[None]:
        endpoint = self._settings.s3_endpoint_url
        place = f"{self.url} at {without_secrets(endpoint)}" if endpoint else self.url
        try:
            yield
        except FAILURES as failure:
            raise meaning(failure, place, key) from None
