"""What stence asks of an object store, whichever kind it is."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple, Protocol

from stence.errors import ObjectKeyError, ObjectTooLargeError

CHUNK_BYTES = 2**20
MAX_KEY_BYTES = 1024
"""As in S3; a folder can hold longer paths, which then are no keys."""

Admit = Callable[[int], None]
"""Called with an object's size in bytes before its content is read; what it raises ends the reading."""
Skipped = Callable[[str], None]
"""Called with a prefix that cannot be listed, and below which nobody knows what there is."""


class StoredObject(NamedTuple):
    """An object as a listing shows it: ``etag`` changes when the content does, ``size`` is in bytes."""

    key: str
    etag: str
    size: int


class ObjectStore(Protocol):
    """Objects by key, below a URL. Keys are relative to it, with ``/`` between their segments.

    Every method is safe to call from several threads, and raises StoreUnavailableError where the store
    does not answer, ConfigurationError where it refuses what it is asked. What is wrong with one object
    alone is an ObjectError, which has its key: ObjectNotFoundError, ObjectForbiddenError, or
    ObjectUnreadableError where the store serves others.
    """

    url: str
    """Without secrets."""

    def list(self, prefix: str, skipped: Skipped | None = None) -> Iterator[StoredObject]:
        """Objects whose key starts with ``prefix``, in the order of their keys' UTF-8 bytes, as they come in.

        An archive of any size passes through; it is never held in memory. A part of it that cannot be
        listed is passed over, counted in the log, and told to ``skipped``; the prefix itself must be open.
        """

    def head(self, key: str) -> StoredObject:
        """The object without its content; raises ObjectError."""

    def get(self, key: str, limit_bytes: int | None = None, admit: Admit | None = None) -> bytes:
        """The whole content.

        Raises ObjectError; without reading it ObjectTooLargeError above ``limit_bytes``, and what ``admit``
        raises.
        """

    def stream(self, key: str) -> Generator[bytes]:
        """The content in pieces of about CHUNK_BYTES, for objects too large for memory; may be closed early.

        Raises ObjectError, also at the end, where the content turns out to be damaged.
        """

    def put(self, key: str, content: bytes) -> None:
        """Write an object. Readers see the old one or the new one, whole, whenever the writer dies."""

    def delete(self, key: str) -> None:
        """Remove the object, if there is one."""


def is_text(key: str) -> bool:
    """Whether ``key`` is Unicode without NUL: no store holds others, and some choke on them."""
    try:
        return b"\0" not in key.encode()
    except UnicodeEncodeError:
        return False


def is_portable(key: str) -> bool:
    """Whether every kind of store can hold ``key``: short text without empty, ``.`` or ``..`` segments."""
    if not is_text(key) or len(key.encode()) > MAX_KEY_BYTES:
        return False
    return not any(part in ("", ".", "..") for part in key.split("/"))


def check_portable(key: str) -> None:
    """Raise ObjectKeyError where ``key`` could not be written to every kind of store."""
    if not is_portable(key):
        raise ObjectKeyError(
            "not a key to write to: segments between slashes must not be empty, '.' or '..', "
            f"and all together have at most {MAX_KEY_BYTES} bytes",
            key,
        )


def check_size(key: str, size: int, limit_bytes: int | None) -> None:
    """Raise ObjectTooLargeError where an object of ``size`` bytes is above the limit."""
    if limit_bytes is not None and size > limit_bytes:
        raise ObjectTooLargeError(f"the object has {size} bytes; at most {limit_bytes} are read", key)
