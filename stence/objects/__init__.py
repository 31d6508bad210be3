"""Object stores: a local folder (``file://``) or a bucket of an S3 service (``s3://``)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from stence import private
from stence.domain.urls import without_secrets
from stence.errors import ConfigurationError
from stence.objects.local import LocalStore
from stence.objects.store import ObjectStore, StoredObject

if TYPE_CHECKING:
    from stence.settings import Settings

__all__ = ["LocalStore", "ObjectStore", "StoredObject", "open_store"]


def open_store(url: str, settings: Settings) -> ObjectStore:
    """Open the store at ``url``: ``file:///folder`` (created if missing) or ``s3://bucket/prefix``.

    Raises ConfigurationError for any other URL, and for a folder that cannot be created.
    """
    if url.startswith("file://"):
        folder = _folder(url)
        if folder.is_relative_to(settings.data_dir):
            with suppress(OSError):  # creation of the store's own folder reports the error
                private.make_data_folder(settings.data_dir)
        return LocalStore(folder)
    if url.startswith("s3://"):
        from stence.objects.s3 import S3Store  # noqa: PLC0415 - boto3 is loaded where a bucket is used

        return S3Store(url, settings)
    raise ConfigurationError(
        f"STENCE_STORE_URL={without_secrets(url)} is neither file:///folder nor s3://bucket/prefix"
    )


def _folder(url: str) -> Path:
    parts = urlsplit(url)
    path = Path(os.fsdecode(unquote_to_bytes(parts.path)))
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment or not path.is_absolute():
        raise ConfigurationError(
            f"STENCE_STORE_URL={without_secrets(url)}: a folder's URL has three slashes and an absolute "
            "path, as in file:///srv/ecg; write ? and # in it as %3F and %23"
        )
    return path
