"""What stence asks of an object store, whichever kind it is."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple, Protocol

from stence.errors import ConfigurationError

CHUNK_BYTES = 2**20


class StoredObject(NamedTuple):
    """An object as a listing shows it: ``etag`` changes when the content does, ``size`` is in bytes."""

    key: str
    etag: str
    size: int


class ObjectStore(Protocol):
    """Objects by key, below a URL. Keys are relative to it, with ``/`` between their segments.

    Every method is safe to call from several threads, and raises StoreUnavailableError where the store
    does not answer, ConfigurationError where it refuses what it is asked.
    """

    url: str

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Objects whose key starts with ``prefix``, in the order of their keys' UTF-8 bytes, as they come in.

        An archive of any size passes through; it is never held in memory.
        """

    def head(self, key: str) -> StoredObject:
        """The object without its content; raises ObjectNotFoundError."""

    def get(
        self, key: str, limit_bytes: int | None = None, admit: Callable[[int], None] | None = None
    ) -> bytes:
        """The whole content.

        Raises ObjectNotFoundError; ObjectTooLargeError, without reading it, above ``limit_bytes``.
        """

    def stream(self, key: str) -> Generator[bytes]:
        """The content in pieces of about CHUNK_BYTES, for objects too large for memory; may be closed early.

        Raises ObjectNotFoundError.
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
    """Whether every kind of store can hold ``key``: text without empty, ``.`` or ``..`` segments."""
    return is_text(key) and not any(part in ("", ".", "..") for part in key.split("/"))


def check_portable(key: str) -> None:
    """Raise ConfigurationError where ``key`` could not be written to every kind of store."""
    if not is_portable(key):
        raise ConfigurationError(
            f"{key!r} is not a key to write to: segments between slashes must not be empty, '.' or '..'"
        )
