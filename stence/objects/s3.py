"""A bucket of an S3 service (AWS, MinIO, Ceph) as an object store."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from stence.errors import ConfigurationError, ObjectNotFoundError, ObjectTooLargeError
from stence.objects.s3_errors import FAILURES, BrokenTransferError, meaning
from stence.objects.store import CHUNK_BYTES, StoredObject, check_portable, is_text
from stence.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

# Short waits, few attempts: an outage shows within seconds, and who runs the work decides how long to wait.
CONNECT_SECONDS = 3
READ_SECONDS = 10
ATTEMPTS = 3
SPARE_CONNECTIONS = 4
PLAIN_MD5 = re.compile(r"[0-9a-f]{32}")


class S3Store:
    """The objects of ``url``, ``s3://bucket/prefix``.

    Connects at first use, and anew in a forked process. Raises ConfigurationError for a URL without a bucket.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self._bucket, _, prefix = url.removeprefix("s3://").strip("/").partition("/")
        if not self._bucket or url.startswith("s3:///"):
            raise ConfigurationError(f"STENCE_STORE_URL={url} names no bucket: s3://bucket/prefix")
        self.url = f"s3://{self._bucket}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._settings = settings
        self._process: int | None = None

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See ObjectStore; a page of 1000 objects is in memory. Folder markers (``name/``) are no objects."""
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
        with self._errors(key):
            found = self._client.head_object(Bucket=self._bucket, Key=self._full(key))
        return StoredObject(key, found["ETag"].strip('"'), found["ContentLength"])

    def get(
        self, key: str, limit_bytes: int | None = None, admit: Callable[[int], None] | None = None
    ) -> bytes:
        """See ObjectStore; a transfer that breaks off or is damaged is begun again."""
        for _ in range(ATTEMPTS - 1):
            try:
                return b"".join(self._pieces(key, limit_bytes))
            except BrokenTransferError:
                continue
        return b"".join(self._pieces(key, limit_bytes))

    def stream(self, key: str) -> Generator[bytes]:
        """See ObjectStore; raises StoreUnavailableError where the transfer breaks off or was damaged."""
        return self._pieces(key, None)

    def put(self, key: str, content: bytes) -> None:
        """See ObjectStore; the server refuses content that does not match the MD5 sent with it."""
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

    def _pieces(self, key: str, limit_bytes: int | None) -> Generator[bytes]:
        """The content, whole and as it was stored, or an error at its end."""
        with self._errors(key):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._full(key))
            with closing(answer["Body"]) as body:
                if limit_bytes is not None and answer["ContentLength"] > limit_bytes:
                    raise ObjectTooLargeError(
                        f"{key} has {answer['ContentLength']} bytes; at most {limit_bytes} are read"
                    )
                digest = hashlib.md5(usedforsecurity=False)
                for piece in body.iter_chunks(CHUNK_BYTES):
                    digest.update(piece)
                    yield piece
            if digest.hexdigest() != _md5(answer, otherwise=digest.hexdigest()):
                raise BrokenTransferError(f"{self.url}: the content of an object arrived damaged")

    def _full(self, key: str) -> str:
        """The key in the bucket."""
        if not is_text(key):
            raise ObjectNotFoundError(f"{self.url} holds no object {key!r}")
        return self._prefix + key

    @property
    def _client(self) -> S3Client:
        """This process's client; threads share it, processes cannot."""
        if self._process != os.getpid():
            self._shared_client = _connect(self._settings)
            self._process = os.getpid()
        return self._shared_client

    @contextmanager
    def _errors(self, key: str | None = None) -> Iterator[None]:
        endpoint = self._settings.s3_endpoint_url
        try:
            yield
        except FAILURES as failure:
            raise meaning(failure, f"{self.url} at {endpoint}" if endpoint else self.url, key) from None


def _md5(answer: GetObjectOutputTypeDef, otherwise: str) -> str:
    """The MD5 that the store keeps; it keeps none of objects put in parts or encrypted with a named key."""
    etag = answer["ETag"].strip('"')
    encrypted = answer.get("SSEKMSKeyId") or answer.get("SSECustomerAlgorithm")
    return etag if PLAIN_MD5.fullmatch(etag) and not encrypted else otherwise


def _connect(settings: Settings) -> S3Client:
    access, secret = settings.s3_access_key, settings.s3_secret_key
    if (access is None) != (secret is None):
        raise ConfigurationError("set both STENCE_S3_ACCESS_KEY and STENCE_S3_SECRET_KEY, or neither")
    config = Config(
        max_pool_connections=settings.fetch_threads + SPARE_CONNECTIONS,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "adaptive", "total_max_attempts": ATTEMPTS},
        # Content-MD5, which every S3 service checks, in place of boto3's trailing CRC, which some refuse.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_supported",
        s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"},
    )
    try:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=settings.s3_endpoint_url,
            region_name=settings.s3_region,
            aws_access_key_id=access.get_secret_value() if access else None,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            config=config,
        )
    except ValueError as error:
        raise ConfigurationError(
            f"STENCE_S3_ENDPOINT_URL={settings.s3_endpoint_url} is not a URL like https://s3.example.org"
        ) from error
