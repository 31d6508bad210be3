"""Interface of an object store, common to all kinds of stores."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple, Protocol

from stence.errors import ObjectKeyError, ObjectTooLargeError

CHUNK_BYTES = 2**20
MAX_KEY_BYTES = 1024
"""Maximum key length, as in S3; longer paths in a folder are not keys."""

Admit = Callable[[int], None]
"""Called with an object's size in bytes before its content is read; an exception cancels the read."""
Skipped = Callable[[str], None]
"""Called with a prefix that cannot be listed; the objects below it are unknown."""


class StoredObject(NamedTuple):
    """An object's listing entry: ``etag`` changes when the content changes, ``size`` is in bytes."""

    key: str
    etag: str
    size: int


class ObjectStore(Protocol):
    """Objects by key, below a URL. Keys are relative to the URL, with ``/`` between their segments.

    Every method is thread-safe. It raises StoreUnavailableError if the store does not answer, and
    ConfigurationError if the store refuses the request. A fault of one object is an ObjectError with the
    object's key: ObjectNotFoundError, ObjectForbiddenError, or ObjectUnreadableError if the store serves
    other objects.
    """

    url: str
    """The store's URL without secrets."""

    def list(self, prefix: str, skipped: Skipped | None = None) -> Iterator[StoredObject]:
        """Yield objects whose key starts with ``prefix``, sorted by the UTF-8 bytes of their keys.

        The listing is a stream; memory does not grow with the archive. A part that cannot be listed is
        skipped, counted in the log, and passed to ``skipped``; the prefix itself must be readable.
        """

    def head(self, key: str) -> StoredObject:
        """Return the object's listing entry. Raises ObjectError."""

    def get(self, key: str, limit_bytes: int | None = None, admit: Admit | None = None) -> bytes:
        """Return the whole content.

        Raises ObjectError. Before reading, raises ObjectTooLargeError above ``limit_bytes``, and any
        exception of ``admit``.
        """

    def stream(self, key: str) -> Generator[bytes]:
        """Yield the content in pieces of about CHUNK_BYTES, for large objects; the caller may close it early.

        Raises ObjectError, also at the end, if the content is damaged.
        """

    def put(self, key: str, content: bytes) -> None:
        """Write an object atomically: readers see the old or the new content, even if the writer dies."""

    def delete(self, key: str) -> None:
        """Delete the object if it exists."""


def is_text(key: str) -> bool:
    """True if ``key`` is valid Unicode without NUL; no store holds other keys, and some fail on them."""
    try:
        return b"\0" not in key.encode()
    except UnicodeEncodeError:
        return False


def is_portable(key: str) -> bool:
    """True if every kind of store can hold ``key``: short text without empty, ``.`` or ``..`` segments."""
    if not is_text(key) or len(key.encode()) > MAX_KEY_BYTES:
        return False
    return not any(part in ("", ".", "..") for part in key.split("/"))


def check_portable(key: str) -> None:
    """Raise ObjectKeyError if ``key`` cannot be written to every kind of store."""
    if not is_portable(key):
        raise ObjectKeyError(
            "not a key to write to: segments between slashes must not be empty, '.' or '..', "
            f"and the key must have at most {MAX_KEY_BYTES} bytes",
            key,
        )


def check_size(key: str, size: int, limit_bytes: int | None) -> None:
    """Raise ObjectTooLargeError if an object of ``size`` bytes is above the limit."""
    if limit_bytes is not None and size > limit_bytes:
        raise ObjectTooLargeError(f"the object has {size} bytes; at most {limit_bytes} are read", key)
