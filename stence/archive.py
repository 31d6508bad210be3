"""Archives that stence writes: a zip file of stored members and a manifest with the SHA-256 of each.

Members are never compressed, so that none can be larger than its archive. Nothing is used before it is
compared with its hash.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import stence
from stence.errors import ArchiveError
from stence.progress import Progress, silent

MANIFEST = "manifest.json"
FORMAT = 1
CHUNK_BYTES = 2**20
ENCRYPTED = 1
"""Bit of a member's flags."""


class Member(BaseModel):
    """What the manifest says of a member."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size: int = Field(ge=0, description="Bytes.")


class Origin(BaseModel):
    """Start of a manifest, the same in every format."""

    kind: str = Field(max_length=100)
    format: int
    stence: str = Field(max_length=100, description="Version of stence that wrote the archive.")


class Manifest(Origin):
    """What an archive holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    created_at: datetime
    about: dict[str, Any] = Field(description="What the writer says of the whole.")
    members: dict[str, Member]


class Writer:
    """An archive that is being written."""

    def __init__(self, file: ZipFile) -> None:
        self._zip = file
        self._members: dict[str, Member] = {}

    def add(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write a member from its pieces."""
        digest, size = hashlib.sha256(), 0
        with self._zip.open(ZipInfo(name), "w", force_zip64=True) as member:
            for piece in pieces:
                member.write(piece)
                digest.update(piece)
                size += len(piece)
        self._members[name] = Member(sha256=digest.hexdigest(), size=size)

    def seal(self, kind: str, about: Mapping[str, Any]) -> None:
        """Write the manifest, which is the last member."""
        manifest = Manifest(
            kind=kind,
            format=FORMAT,
            stence=stence.__version__,
            created_at=datetime.now(UTC),
            about=dict(about),
            members=self._members,
        )
        self._zip.writestr(MANIFEST, manifest.model_dump_json(indent=1))


@contextmanager
def write_archive(path: Path, kind: str, about: Mapping[str, Any]) -> Iterator[Writer]:
    """Write an archive atomically, readable for this account only.

    Raises ArchiveError if there is a file of this name, or the folder cannot be written.
    """
    if path.exists():
        raise ArchiveError(f"{path} exists: name a new file, so that no earlier one is lost.")
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with _private(unfinished) as file:
            with ZipFile(file, "w", ZIP_STORED) as members:
                writer = Writer(members)
                yield writer
                writer.seal(kind, about)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _private(path: Path) -> BinaryIO:
    with suppress(FileNotFoundError):
        path.unlink()
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


class Archive:
    """An archive that is being read; its names and sizes are those of its manifest."""

    def __init__(self, path: Path, file: ZipFile, manifest: Manifest) -> None:
        self._path = path
        self._zip = file
        self.manifest = manifest

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield a member in pieces of about CHUNK_BYTES. Raises ArchiveError, also at the end, if altered."""
        digest = hashlib.sha256()
        try:
            with self._zip.open(name) as member:
                while piece := member.read(CHUNK_BYTES):
                    digest.update(piece)
                    yield piece
        except (BadZipFile, EOFError, NotImplementedError):
            raise self._altered(name) from None
        if digest.hexdigest() != self.manifest.members[name].sha256:
            raise self._altered(name)

    def read(self, name: str) -> bytes:
        """Return a whole member. Raises ArchiveError if it was altered."""
        return b"".join(self.pieces(name))

    def verify(self, progress: Progress = silent) -> None:
        """Read every member and compare it with its hash. Raises ArchiveError, which names the member."""
        total = len(self.manifest.members)
        for done, name in enumerate(self.manifest.members, 1):
            for _ in self.pieces(name):
                pass
            progress("verify", done, total)

    def _altered(self, name: str) -> ArchiveError:
        return ArchiveError(f"{self._path} is damaged: {name} is not what was written. Take another copy.")


class _Bounded(BufferedReader):
    """A file that refuses to read more than ``limit`` bytes at once: ``zipfile`` reads a directory whole."""

    def __init__(self, path: Path, limit: int) -> None:
        super().__init__(FileIO(path))
        self._limit = limit
        self._size = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to ``size`` bytes. Raises BadZipFile for more than the limit."""
        wanted = self._size - self.tell() if size is None or size < 0 else size
        if wanted > self._limit:
            raise BadZipFile("a part of it is too large")
        return super().read(wanted)


@contextmanager
def open_archive(path: Path, kind: str, directory_bytes: int) -> Iterator[Archive]:
    """Open an archive of a kind, whose directory and manifest have at most ``directory_bytes`` each.

    Raises ArchiveError for other files, for damaged archives, and for those of a newer format.
    """
    with ExitStack() as opened:
        try:
            members = opened.enter_context(ZipFile(opened.enter_context(_Bounded(path, directory_bytes))))
            manifest = _manifest(members, path, kind, directory_bytes)
        except OSError as error:
            raise ArchiveError(f"{path} cannot be read: {error.strerror}.") from error
        except (BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError) as error:
            raise ArchiveError(f"{path} is no complete archive of stence ({error}).") from error
        _check_members(members, path, manifest)
        yield Archive(path, members, manifest)


def _manifest(members: ZipFile, path: Path, kind: str, limit: int) -> Manifest:
    try:
        info = members.getinfo(MANIFEST)
    except KeyError:
        raise ArchiveError(f"{path} is not {kind}: it has no {MANIFEST}.") from None
    _check_stored(info, path)
    if info.file_size > limit:
        raise ArchiveError(f"{path}: its {MANIFEST} is larger than {limit} bytes.")
    try:
        content = members.read(info)
        _check_origin(Origin.model_validate_json(content), path, kind)
        return Manifest.model_validate_json(content)
    except ValidationError:
        raise ArchiveError(f"{path}: its {MANIFEST} cannot be understood.") from None


def _check_origin(origin: Origin, path: Path, kind: str) -> None:
    if origin.kind != kind:
        raise ArchiveError(f"{path} is not {kind}.")
    if origin.format > FORMAT:
        raise ArchiveError(
            f"{path} is of format {origin.format}, written by stence {origin.stence}; this version, "
            f"{stence.__version__}, reads format {FORMAT}: install that version here."
        )


def _check_members(members: ZipFile, path: Path, manifest: Manifest) -> None:
    """Compare names and sizes with the manifest, before any content is read."""
    found = members.infolist()
    for info in found:
        _check_stored(info, path)
    if sum(info.file_size for info in found) > path.stat().st_size:
        raise ArchiveError(f"{path}: its members overlap.")
    sizes = {info.filename: info.file_size for info in found if info.filename != MANIFEST}
    if len(sizes) + 1 != len(found) or sizes != {name: of.size for name, of in manifest.members.items()}:
        raise ArchiveError(f"{path}: its members are not those of its {MANIFEST}.")


def _check_stored(info: ZipInfo, path: Path) -> None:
    if info.compress_type != ZIP_STORED or info.flag_bits & ENCRYPTED or info.compress_size != info.file_size:
        raise ArchiveError(f"{path}: a member is compressed or encrypted; stence writes none such.")
