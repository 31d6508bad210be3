"""A folder as an object store: an object is a file, its key is the path below the folder.

Symbolic links below the folder are not followed, so no key leads out of it. A path cannot be both a folder
and a file: if ``a/b`` is a key, the key ``a`` is refused.
"""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from stence import private
from stence.errors import (
    ConfigurationError,
    ObjectForbiddenError,
    ObjectKeyError,
    ObjectNotFoundError,
    ObjectUnreadableError,
    StenceError,
    StoreUnavailableError,
)
from stence.objects.local_walk import OVERLOADED, UNFINISHED, Walk, describe
from stence.objects.store import (
    CHUNK_BYTES,
    Admit,
    Skipped,
    StoredObject,
    check_portable,
    check_size,
    is_portable,
)

Act = Literal["read", "write", "list"]

FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
MISPLACED = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG}
FULL = {errno.ENOSPC, errno.EDQUOT}
NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
ABSENT = {errno.ENOENT, errno.ELOOP, errno.ENXIO, *MISPLACED}


class LocalStore:
    """Object store in a folder, which is created if missing.

    Raises ConfigurationError if the folder cannot be created.
    """

    def __init__(self, root: Path) -> None:
        try:
            private.make_folder(root)
        except OSError as error:
            raise ConfigurationError(f"{root} cannot hold objects: {error.strerror}") from error
        self._root = os.path.realpath(root)
        self._identity = os.stat(self._root)
        # Other users may read what they may read of the root folder, whatever the umask. Only we may write.
        openness = self._identity.st_mode
        self._folder_mode = 0o700 | openness & 0o2055
        self._file_mode = 0o600 | openness & 0o044
        self.url = Path(self._root).as_uri()

    def list(self, prefix: str, skipped: Skipped | None = None) -> Iterator[StoredObject]:
        """See ObjectStore; a folder without read permission, or a path too long for a key, is skipped."""
        folder, _, start = prefix.rpartition("/")
        walk = Walk(self._root, skipped)
        with self._errors(prefix, "list"):
            self._check_mounted()
            if not folder or self._is_path(folder):
                with suppress(FileNotFoundError, NotADirectoryError):
                    yield from walk.files(folder, start)
            self._check_mounted()  # an unmounted folder would look as if all objects were deleted
        walk.report(self.url, prefix)

    def head(self, key: str) -> StoredObject:
        """See ObjectStore."""
        with self._open(key) as file, self._errors(key):
            return describe(key, os.fstat(file))

    def get(self, key: str, limit_bytes: int | None = None, admit: Admit | None = None) -> bytes:
        """See ObjectStore."""
        with self._open(key) as file:
            size = os.fstat(file).st_size
            check_size(key, size, limit_bytes)
            if admit is not None:
                admit(size)
            return b"".join(self._chunks(key, file, size))

    def stream(self, key: str) -> Generator[bytes]:
        """See ObjectStore."""
        with self._open(key) as file:
            yield from self._chunks(key, file, os.fstat(file).st_size)

    def put(self, key: str, content: bytes) -> None:
        """See ObjectStore; write a hidden temporary file in the same folder, sync it, then rename it."""
        check_portable(key)
        folder, _, name = f"{self._root}/{key}".rpartition("/")
        if UNFINISHED.fullmatch(name):
            raise ObjectKeyError("names like this are reserved for unfinished writes", key)
        with self._errors(key, "write"):
            if os.path.realpath(folder) != folder:
                raise FileExistsError(errno.EEXIST, "a symbolic link is in the way")
            _make_folders(folder, self._folder_mode)
            _replace(folder, name, content, self._file_mode)

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        if not self._is_path(key):
            return
        with self._errors(key, "write"), suppress(*NO_FILE):
            os.unlink(f"{self._root}/{key}")

    def _is_key(self, key: str) -> bool:
        """True if ``key`` can name a finished object or a folder."""
        return is_portable(key) and not UNFINISHED.fullmatch(key.rpartition("/")[2])

    def _is_path(self, key: str) -> bool:
        """True if ``key`` can name a finished object or a folder inside the root."""
        path = f"{self._root}/{key}"
        return self._is_key(key) and os.path.realpath(path) == path

    def _is_mounted(self) -> bool:
        """True if the root is still the opened folder; false if it is missing or an empty mount point."""
        with suppress(OSError):
            return os.path.samestat(os.stat(self._root), self._identity)
        return False

    def _check_mounted(self) -> None:
        if not self._is_mounted():
            raise FileNotFoundError(errno.ENOENT, "the folder is gone")

    def _chunks(self, key: str, file: int, size: int) -> Iterator[bytes]:
        """Yield the content up to the size at opening, because the file may be growing."""
        with self._errors(key):
            while size > 0 and (chunk := os.read(file, min(size, CHUNK_BYTES))):
                size -= len(chunk)
                yield chunk

    @contextmanager
    def _open(self, key: str) -> Iterator[int]:
        """Open the object for reading; yield the file descriptor."""
        with self._errors(key):
            if not self._is_key(key):
                raise FileNotFoundError(errno.ENOENT, "no such key")
            file = self._open_file(f"{self._root}/{key}")
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise ObjectNotFoundError(f"{self.url} holds no such object", key)
            yield file
        finally:
            os.close(file)

    def _open_file(self, path: str) -> int:
        """Open a file unless a symbolic link is on its path."""
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            if os.path.realpath(path) != path:
                raise FileNotFoundError(errno.ENOENT, "a symbolic link is in the way") from None
            raise
        # The kernel tells where an open file lies, eight times as fast as realpath asks each of its folders.
        # It also says if the file was replaced since.
        if os.readlink(f"/proc/self/fd/{file}") != path and os.path.realpath(path) != path:
            os.close(file)
            raise FileNotFoundError(errno.ENOENT, "a symbolic link is in the way")
        return file

    @contextmanager
    def _errors(self, key: str, act: Act = "read") -> Iterator[None]:
        """Translate file system errors, without their paths, which can name patients."""
        try:
            yield
        except OSError as error:
            raise self._meaning(key, error, act) from None

    def _meaning(self, key: str, error: OSError, act: Act) -> StenceError:
        if error.errno in FORBIDDEN:
            return ObjectForbiddenError(f"{self.url}: this user may not read an object; grant the right", key)
        if error.errno in FULL:
            return StoreUnavailableError(f"{self.url} is full ({error.strerror}): free space there")
        if act == "write" and error.errno in MISPLACED:
            return ObjectKeyError(f"{self.url} cannot hold an object of this key: {error.strerror}", key)
        if act == "read" and error.errno not in OVERLOADED and self._is_mounted():
            return self._about_object(key, error)
        return StoreUnavailableError(
            f"{self.url} does not answer ({error.strerror}): is its file system mounted?"
        )

    def _about_object(self, key: str, error: OSError) -> StenceError:
        if error.errno in ABSENT:
            return ObjectNotFoundError(f"{self.url} holds no such object", key)
        return ObjectUnreadableError(
            f"{self.url}: an object cannot be read ({error.strerror}), but the folder can; "
            "check its disk, then retry",
            key,
        )


def _replace(folder: str, name: str, content: bytes, mode: int) -> None:
    temporary = f"{folder}/.stence-{uuid.uuid4().hex}.tmp"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            _add_permissions(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, f"{folder}/{name}")
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync(folder)


def _make_folders(path: str, mode: int) -> None:
    """Create a folder and its parents, and sync them so that they survive a power failure."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    _make_folders(parent, mode)
    with suppress(FileExistsError):
        os.mkdir(path, mode)
        _add_permissions(path, mode)
    _sync(parent)


def _add_permissions(file: int | str, mode: int) -> None:
    """Add the permissions that the umask removed; network shares without permissions are ignored."""
    if os.stat(file).st_mode & mode != mode:
        with suppress(PermissionError):
            os.chmod(file, mode)


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
