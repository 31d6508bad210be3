"""A folder as an object store: an object is a file, its key the path below the folder.

Symbolic links below the folder are not followed, so that no key leads out of it. Where a file system has
a folder it cannot have a file: a key that is the beginning of another, up to a slash, is refused.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stence import private
from stence.errors import (
    ConfigurationError,
    ObjectForbiddenError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StenceError,
    StoreUnavailableError,
)
from stence.objects.store import CHUNK_BYTES, StoredObject, check_portable, is_portable

logger = logging.getLogger(__name__)

UNFINISHED = re.compile(r"\.stence-[0-9a-f]{32}\.tmp")
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
MISPLACED = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG}
FULL = {errno.ENOSPC, errno.EDQUOT}
NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
ABSENT = {errno.ENOENT, errno.ELOOP, errno.ENXIO, *MISPLACED}


class LocalStore:
    """The objects in a folder, which is made if it is missing.

    Raises ConfigurationError where the folder cannot be made.
    """

    def __init__(self, root: Path) -> None:
        try:
            private.make_folder(root)
        except OSError as error:
            raise ConfigurationError(f"{root} cannot hold objects: {error.strerror}") from error
        self._root = os.path.realpath(root)
        self._identity = os.stat(self._root)
        # As open to others as the folder itself is, whatever the process's umask; for us alone to write.
        openness = self._identity.st_mode
        self._folder_mode = 0o700 | openness & 0o2055
        self._file_mode = 0o600 | openness & 0o044
        self.url = Path(self._root).as_uri()

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See ObjectStore; in memory are only the names in one folder and in those around it."""
        folder, _, start = prefix.rpartition("/")
        passed_over: Counter[str] = Counter()
        with self._errors(prefix):
            if not self._is_mounted():
                raise FileNotFoundError(errno.ENOENT, "the folder is gone")
            if not folder or self._is_path(folder):
                yield from self._walk(folder, start, passed_over)
        for kind, count in passed_over.items():
            logger.warning("%d %s below %s/%s were passed over", count, kind, self.url, prefix)

    def head(self, key: str) -> StoredObject:
        """See ObjectStore."""
        with self._open(key) as file:
            return _describe(key, os.fstat(file))

    def get(
        self, key: str, limit_bytes: int | None = None, admit: Callable[[int], None] | None = None
    ) -> bytes:
        """See ObjectStore."""
        with self._open(key) as file:
            size = os.fstat(file).st_size
            if limit_bytes is not None and size > limit_bytes:
                raise ObjectTooLargeError(f"{key} has {size} bytes; at most {limit_bytes} are read")
            if admit is not None:
                admit(size)
            return b"".join(_chunks(file))

    def stream(self, key: str) -> Generator[bytes]:
        """See ObjectStore."""
        with self._open(key) as file:
            yield from _chunks(file)

    def put(self, key: str, content: bytes) -> None:
        """See ObjectStore; written to a hidden file beside the object, synced, then renamed over it."""
        check_portable(key)
        folder, _, name = f"{self._root}/{key}".rpartition("/")
        if UNFINISHED.fullmatch(name):
            raise ConfigurationError(f"{key}: names like this are kept for unfinished writes")
        with self._errors(key, writing=True):
            if os.path.realpath(folder) != folder:
                raise FileExistsError(errno.EEXIST, "a symbolic link is in the way")
            _make_folders(folder, self._folder_mode)
            _replace(folder, name, content, self._file_mode)

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        if not self._is_path(key):
            return
        with self._errors(key, writing=True), suppress(*NO_FILE):
            os.unlink(f"{self._root}/{key}")

    def _walk(self, folder: str, start: str, passed_over: Counter[str]) -> Iterator[StoredObject]:
        """Objects in ``folder`` whose next segment begins with ``start``.

        A folder's name sorts with the slash that follows it in keys: ``a-b`` < ``a/b`` < ``a0``.
        """
        path = f"{self._root}/{folder}" if folder else self._root
        for name in sorted(_names(path, start, passed_over), key=str.encode):
            key = f"{folder}/{name}" if folder else name
            if name.endswith("/"):
                yield from self._walk(key[:-1], "", passed_over)
            else:
                with suppress(FileNotFoundError):  # deleted since its folder was read
                    yield _describe(key, os.lstat(f"{self._root}/{key}"))

    def _is_path(self, key: str) -> bool:
        """Whether ``key`` can name a finished object, or a folder of them, inside the root."""
        path = f"{self._root}/{key}"
        unfinished = UNFINISHED.fullmatch(key.rpartition("/")[2])
        return is_portable(key) and not unfinished and os.path.realpath(path) == path

    def _is_mounted(self) -> bool:
        """Whether the root is still the folder that was opened, not an empty mount point or nothing."""
        with suppress(OSError):
            return os.path.samestat(os.stat(self._root), self._identity)
        return False

    @contextmanager
    def _open(self, key: str) -> Iterator[int]:
        """A file descriptor to read the object from."""
        with self._errors(key):
            if not self._is_path(key):
                raise FileNotFoundError(errno.ENOENT, "no such key")
            file = os.open(f"{self._root}/{key}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    raise FileNotFoundError(errno.ENOENT, "not a file")
                yield file
            finally:
                os.close(file)

    @contextmanager
    def _errors(self, key: str, *, writing: bool = False) -> Iterator[None]:
        """Say what an error of the file system means, without its text: paths can name patients."""
        try:
            yield
        except OSError as error:
            raise self._meaning(key, error, writing) from None

    def _meaning(self, key: str, error: OSError, writing: bool) -> StenceError:
        if error.errno in FORBIDDEN:
            return ObjectForbiddenError(f"{self.url}: {key} is closed to this user; grant it the right")
        if writing and error.errno in MISPLACED:
            return ConfigurationError(f"{self.url} cannot hold {key}: {error.strerror}")
        if not writing and error.errno in ABSENT and self._is_mounted():
            return ObjectNotFoundError(f"{self.url} holds no object {key!r}")
        if error.errno in FULL:
            return StoreUnavailableError(f"{self.url} is full ({error.strerror}): free space there")
        return StoreUnavailableError(
            f"{self.url} does not answer ({error.strerror}): is its file system mounted?"
        )


def _names(path: str, start: str, passed_over: Counter[str]) -> Iterator[str]:
    """Names in a folder that begin with ``start``; those of folders end in a slash."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(path) as entries:
        for entry in entries:
            if not entry.name.startswith(start) or UNFINISHED.fullmatch(entry.name):
                continue
            if not is_portable(entry.name):
                passed_over["names that are not UTF-8"] += 1
            elif entry.is_dir(follow_symlinks=False):
                yield f"{entry.name}/"
            elif entry.is_file(follow_symlinks=False):
                yield entry.name
            elif entry.is_symlink():
                passed_over["symbolic links"] += 1


def _describe(key: str, status: os.stat_result) -> StoredObject:
    """The etag is cheap to compare with; a replaced file has another inode, an edited one another time."""
    version = f"{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ino:x}"
    return StoredObject(key, version, status.st_size)


def _chunks(file: int) -> Iterator[bytes]:
    while chunk := os.read(file, CHUNK_BYTES):
        yield chunk


def _replace(folder: str, name: str, content: bytes, mode: int) -> None:
    temporary = f"{folder}/.stence-{uuid.uuid4().hex}.tmp"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            _open_up(file.fileno(), mode)
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
    """Make a folder and those above it so that they outlast a power cut."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    _make_folders(parent, mode)
    with suppress(FileExistsError):
        os.mkdir(path, mode)
        _open_up(path, mode)
    _sync(parent)


def _open_up(file: int | str, mode: int) -> None:
    """Give what we made the rights that the umask kept back; some network shares know none."""
    if os.stat(file).st_mode & mode != mode:
        with suppress(PermissionError):
            os.chmod(file, mode)


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
