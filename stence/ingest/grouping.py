"""Group the files of a listing into ECGs: a header and its signal files are one record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from stence.ecg import FileKind, file_kind
from stence.ecg.formats.kinds import is_header
from stence.ecg.formats.tables import Layout, layout_of
from stence.objects import StoredObject


class IndexedFile(NamedTuple):
    """A row of ``objects``: a main file, with the version and total size of all files of its record."""

    key: str
    record_key: str
    listed_etag: str
    size_bytes: int


def record_key(key: str) -> str:
    """Return the key without its extension, shared by a record's files and its manifest row."""
    folder, slash, name = key.rpartition("/")
    return folder + slash + (name.rpartition(".")[0] or name)


def ecg_files(listing: Iterable[StoredObject], layouts: Sequence[Layout] = ()) -> Iterator[IndexedFile]:
    """Group the objects of a sorted ``listing`` into ECGs. Those of kind OTHER are tables with a layout.

    A header and the signal and annotation files of the same name form one record. Other files without a
    header are listed alone, so that they get a quarantine entry and are not ignored.
    """
    for stem, members in _records(listing):
        headers = [item for item in members if is_header(item.key)]
        signals = [item for item in members if file_kind(item.key) is FileKind.SIGNAL]
        for header in headers:
            yield _ecg_file(stem, header, [header, *signals])
        for item in members:
            is_main = file_kind(item.key) in (FileKind.MAIN, FileKind.OTHER)
            if item not in headers and (is_main or not headers):
                yield _in_layout(_ecg_file(stem, item, [item]), layouts)


def _records(listing: Iterable[StoredObject]) -> Iterator[tuple[str, list[StoredObject]]]:
    """Yield record keys and their files. Only records that may still get files are in memory.

    These are the records whose key plus a dot is a prefix of the current key: ``a.b.hea`` sorts between
    ``a.a`` and ``a.z``.
    """
    begun: list[tuple[str, list[StoredObject]]] = []
    for item in listing:
        while begun and not item.key.startswith(f"{begun[-1][0]}."):
            yield begun.pop()
        stem = record_key(item.key)
        if begun and begun[-1][0] == stem:
            begun[-1][1].append(item)
        else:
            begun.append((stem, [item]))
    yield from reversed(begun)


def _ecg_file(stem: str, main: StoredObject, files: list[StoredObject]) -> IndexedFile:
    # The version covers the signal files: a header that arrives before its signal file is read again later.
    version = "\n".join(f"{file.key}\t{file.etag}" for file in files)
    etag = main.etag if len(files) == 1 else hashlib.sha256(version.encode()).hexdigest()
    return IndexedFile(main.key, stem, etag, sum(file.size for file in files))


def _in_layout(file: IndexedFile, layouts: Sequence[Layout]) -> IndexedFile:
    """Let the version of a table cover its layout: with another one it is read again."""
    layout = layout_of(file.key, layouts)
    if layout is None:
        return file
    version = f"{file.listed_etag}\n{layout}"
    return file._replace(listed_etag=hashlib.sha256(version.encode()).hexdigest())
