"""List the files below a folder as objects, sorted by key; an unreadable file or folder is only skipped."""

from __future__ import annotations

import errno
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from stence.discretion import plain
from stence.objects.store import MAX_KEY_BYTES, Skipped, StoredObject, is_portable

logger = logging.getLogger(__name__)

UNFINISHED = re.compile(r"\.stence-[0-9a-f]{32}\.tmp")
LEFTOVER_SECONDS = 24 * 3600
OVERLOADED = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
"""Errors from exhausted resources of the process or machine, not from a file."""
_GONE = (FileNotFoundError, NotADirectoryError)


def describe(key: str, status: os.stat_result) -> StoredObject:
    """Build the listing entry; its etag is size, time and inode, which change when the file is replaced."""
    version = f"{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ino:x}"
    return StoredObject(key, version, status.st_size)


def changed_at(item: StoredObject) -> datetime:
    """Return the time in a listing entry's etag."""
    return datetime.fromtimestamp(int(item.etag.split("-")[1], 16) / 1e9, UTC)


class Walk:
    """One walk through a store's folder; memory holds the names in one folder and its parent folders."""

    def __init__(self, root: str, skipped: Skipped | None) -> None:
        self._root = root
        self._skipped = skipped
        self._passed_over: Counter[str] = Counter()

    def files(self, folder: str, start: str) -> Iterator[StoredObject]:
        """Yield objects in ``folder`` whose next segment begins with ``start``.

        Folder names are sorted with the slash that follows them in keys: ``a-b`` < ``a/b`` < ``a0``.
        Raises OSError if ``folder`` itself cannot be listed.
        """
        for name in sorted(self._names(folder, start), key=str.encode):
            key = _joined(folder, name)
            if len(key.encode()) > MAX_KEY_BYTES:
                self._skip(f"paths of more than {MAX_KEY_BYTES} bytes", key)
                continue
            with self._skip_errors(key):
                if name.endswith("/"):
                    yield from self.files(key[:-1], "")
                else:
                    yield describe(key, os.lstat(f"{self._root}/{key}"))

    def report(self, url: str, prefix: str) -> None:
        """Log the number of skipped entries by kind."""
        for kind, count in self._passed_over.items():
            logger.warning(
                "%d %s in %s were passed over", count, plain(kind), plain(url), extra={"object_key": prefix}
            )

    def _names(self, folder: str, start: str) -> Iterator[str]:
        """Yield names in a folder that begin with ``start``; folder names end in a slash."""
        with os.scandir(f"{self._root}/{folder}" if folder else self._root) as entries:
            for entry in entries:
                if UNFINISHED.fullmatch(entry.name):
                    _remove_leftover(entry)
                elif entry.name.startswith(start):
                    with self._skip_errors(_joined(folder, entry.name)):
                        yield from self._kept(folder, entry)

    def _kept(self, folder: str, entry: os.DirEntry[str]) -> Iterator[str]:
        """Yield the name of a folder or regular file; nothing for other kinds of entries."""
        if not is_portable(entry.name):
            self._skip("names that are not UTF-8", _joined(folder, entry.name))
        elif entry.is_dir(follow_symlinks=False):
            yield f"{entry.name}/"
        elif entry.is_file(follow_symlinks=False):
            yield entry.name
        else:
            self._passed_over["symbolic links" if entry.is_symlink() else "pipes, sockets or devices"] += 1

    @contextmanager
    def _skip_errors(self, key: str) -> Iterator[None]:
        """Skip an entry that cannot be listed, or that was deleted after its folder was read."""
        try:
            yield
        except _GONE:
            pass
        except OSError as error:
            if error.errno in OVERLOADED:
                raise
            self._skip(f"folders or files that cannot be listed ({error.strerror})", key)

    def _skip(self, kind: str, key: str) -> None:
        self._passed_over[kind] += 1
        if self._skipped is not None:
            self._skipped(os.fsencode(key).decode("utf-8", "backslashreplace"))


def _remove_leftover(entry: os.DirEntry[str]) -> None:
    """Remove an unfinished write whose process has surely ended."""
    with suppress(OSError):
        if time.time() - entry.stat(follow_symlinks=False).st_mtime > LEFTOVER_SECONDS:
            os.unlink(entry.path)


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
