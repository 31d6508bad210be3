"""Archives and compressed files: zip, tar and gzip, expanded in memory and never onto a disk.

Python's own readers parse a whole directory, or follow a file's own numbers, before a limit can apply. These
read the few structures that exports use, and check each number first.
"""

from __future__ import annotations

from typing import NamedTuple

from stence.ecg.formats.archives import gzip_files, tar_files, zip_files
from stence.ecg.formats.archives.budget import Budget
from stence.ecg.formats.archives.paths import safe_path, unsafe
from stence.ecg.formats.kinds import is_archive
from stence.ecg.formats.limits import Limits
from stence.ecg.reasons import Reason, refuse

MAX_DEPTH = 2
"""A zip of tar files is read, a zip of zips of zips is not. Compression alone is no further archive."""


class Member(NamedTuple):
    """A regular file of an archive: its path there, without ``..``, and its content."""

    path: str
    content: bytes


def recognises(content: bytes) -> bool:
    """Return True if the bytes are a zip, tar or gzip file."""
    return any(kind.recognises(content) for kind in (zip_files, gzip_files, tar_files))


def members(name: str, content: bytes, limits: Limits) -> list[Member]:
    """Return the files of the archive called ``name``; those of an archive in it lie in a folder of its name.

    Raises UnusableEcgError for an archive beyond the limits, a damaged or encrypted one, and one with links,
    devices, or paths that lead out of it.
    """
    found = _files(name, content, Budget(len(content), limits), depth=0)
    if len({member.path for member in found}) < len(found):
        raise unsafe("two files of the same path")
    return found


def _files(path: str, content: bytes, budget: Budget, depth: int) -> list[Member]:
    if gzip_files.recognises(content):
        path, content = gzip_files.opened(path, content, budget)
    reader = next((kind for kind in (zip_files, tar_files) if kind.recognises(content)), None)
    if reader is None:
        return [Member(path, content)]
    if depth == MAX_DEPTH:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, f"archives lie in archives, more than {MAX_DEPTH} deep")
    folder = f"{stem(path)}/" if depth else ""
    inside = ((folder + safe_path(inner), data) for inner, data in reader.files(content, budget))
    return [member for inner, data in inside for member in _files(inner, data, budget, depth + 1)]


def stem(path: str) -> str:
    """Return the path without the suffixes of an archive.

    >>> stem("ecg/ward.3.tar.gz"), stem("ecg/ward.zip"), stem("ecg/ward")
    ('ecg/ward.3', 'ecg/ward', 'ecg/ward.members')
    """
    shorter = path
    while is_archive(shorter):
        shorter = shorter.rpartition(".")[0]
    return f"{path}.members" if shorter == path else shorter
