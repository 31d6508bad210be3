"""Write the files of an archive of several ECGs into the store, where the next index finds them."""

from __future__ import annotations

import posixpath
from typing import NamedTuple

from stence.ecg.formats import archives
from stence.ecg.formats.kinds import is_hidden
from stence.errors import ObjectNotFoundError
from stence.objects import ObjectStore
from stence.preparation.rules import limits_of
from stence.settings import Settings


class Unpacked(NamedTuple):
    """Folder of an archive's files, and their keys: those written, and those that existed and were kept."""

    folder: str
    written: list[str]
    kept: list[str]


def unpack(store: ObjectStore, key: str, settings: Settings) -> Unpacked:
    """Write the files of the archive ``key`` into a folder of its name beside it; the archive stays.

    No object is overwritten; hidden files are left out. Raises UnusableEcgError if the archive cannot be read
    or is beyond the limits, ObjectError, and StoreUnavailableError.
    """
    content = store.get(key, settings.max_object_bytes)
    found = archives.members(posixpath.basename(key), content, limits_of(settings))
    unpacked = Unpacked(f"{archives.stem(key)}/", [], [])
    for member in found:
        if not is_hidden(member.path):
            _write(store, unpacked, unpacked.folder + member.path, member.content)
    return unpacked


def _write(store: ObjectStore, unpacked: Unpacked, key: str, content: bytes) -> None:
    try:
        store.head(key)
    except ObjectNotFoundError:
        store.put(key, content)
        unpacked.written.append(key)
    else:
        unpacked.kept.append(key)
