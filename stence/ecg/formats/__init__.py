"""Read ECG files. The content decides the format; a WFDB header is known by its name.

A format is a module of this package that fits ``Format``, listed in ``_MODULES``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum, auto
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from stence.domain.patients import PatientIdError
from stence.ecg.formats import wfdb
from stence.ecg.formats.limits import DEFAULT_LIMITS, Limits
from stence.ecg.reasons import Reason, UnusableEcgError, refuse
from stence.ecg.recording import LEADS, Recording

_SIGNALS = frozenset({".dat", ".mat", ".xyz"})
_TABLES_AND_TEXTS = frozenset({".csv", ".tsv", ".txt", ".md", ".json", ".html", ".pdf", ".png", ".jpg"})
_ANNOTATIONS = frozenset({".atr", ".qrs", ".ann", ".ecg", ".pu", ".pwave"}) | {
    f".{lead.lower()}" for lead in LEADS
}
_NAMES = frozenset({"RECORDS", "ANNOTATORS", "README", "LICENSE"})
HEADER = ".hea"
_MODULES = ("ishne", "edf", "dicom")
"""Formats in the order in which they are asked; those that import much come last."""


class Format(Protocol):
    """A file format of one file per ECG, as a module."""

    NAME: str
    """Name of the format, for people and for ``Recording.format``."""

    def recognises(self, content: bytes) -> bool:
        """Return True if the bytes are of this format, by their first few hundred bytes."""

    def decode(self, content: bytes, limits: Limits) -> Recording:
        """Decode the recording. Raises UnusableEcgError, or any error of a library on hostile bytes."""


class FileKind(StrEnum):
    """Kind of a file, by its name."""

    MAIN = auto()
    """Main file of an ECG: a WFDB header, a DICOM file, or an unknown kind, which is reported."""
    SIGNAL = auto()
    """Samples of a WFDB record."""
    ANNOTATION = auto()
    """Annotation of the WFDB header of the same name; an unknown kind if there is no such header."""
    OTHER = auto()
    """No ECG: a table, text or picture, or a hidden file."""


def file_kind(key: str) -> FileKind:
    """Return the kind of the file with this object key.

    >>> print(file_kind("ecg/100.hea"), file_kind("ecg/100.dat"), file_kind("ecg/README.md"))
    main signal other
    """
    name = key.rstrip("/").rpartition("/")[2]
    suffix = suffix_of(name)
    if is_hidden(key) or suffix in _TABLES_AND_TEXTS or name.upper() in _NAMES:
        return FileKind.OTHER
    if suffix in _SIGNALS:
        return FileKind.SIGNAL
    return FileKind.ANNOTATION if suffix in _ANNOTATIONS else FileKind.MAIN


def suffix_of(name: str) -> str:
    """Return the lower-case suffix of a file name with its dot, like pathlib but five times as fast."""
    dot = name.rfind(".")
    return name[dot:].lower() if 0 < dot < len(name) - 1 else ""


def is_hidden(key: str) -> bool:
    """Return True if the file or one of its folders is hidden. Programs often hide unfinished files."""
    return "/." in f"/{key}" and any(part.startswith(".") and part != "." for part in key.split("/"))


def companions(name: str, content: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[str, ...]:
    """Return the names of further files that the main file needs, relative to its folder.

    Raises UnusableEcgError if the header is broken.

    >>> lines = ["100 12 500 5000", *(f"100.dat 16 1000 16 0 0 0 0 {lead}" for lead in LEADS)]
    >>> companions("100.hea", "\\n".join(lines).encode())
    ('100.dat',)
    """
    return wfdb.companions(content, limits) if _is_wfdb(name) else ()


def signal_files(name: str, content: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[str, ...] | None:
    """Return the names of all signal files in the main file, needed or not; None if it cannot be read.

    >>> signal_files("100.hea", b"100 1 500 5000\\n100.dat 16 1000 16 0 0 0 0 Pleth")
    ('100.dat',)
    """
    if not _is_wfdb(name):
        return ()
    try:
        return wfdb.signal_files(content, limits)
    except UnusableEcgError:
        return None


def decode(name: str, files: Mapping[str, bytes], limits: Limits = DEFAULT_LIMITS) -> Recording:
    """Decode the recording in the main file ``name``. ``files`` maps names to bytes, companions included.

    Raises UnusableEcgError for all unusable bytes, and no other exception.

    >>> lines = ["100 12 500 1000", *(f"100.dat 16 1000 16 0 0 0 0 {lead}" for lead in LEADS)]
    >>> files = {"100.hea": "\\n".join(lines).encode(), "100.dat": bytes(2 * 12 * 1000)}
    >>> decode("100.hea", files).signal.shape
    (12, 1000)
    """
    if name not in files:
        raise refuse(Reason.OBJECT_MISSING, "the ECG's main file is missing")
    try:
        with np.errstate(all="ignore"):  # absurd gains overflow to infinity; the quality check reports that
            return _decode(name, files, limits)
    except UnusableEcgError:
        raise
    except PatientIdError as error:
        raise refuse(Reason.UNREADABLE_PATIENT, str(error)) from None
    except Exception as error:  # on hostile bytes the libraries may raise anything
        raise refuse(Reason.BROKEN_SIGNAL, f"the file cannot be decoded ({type(error).__name__})") from error


def read(path: str | Path) -> Recording:
    """Read an ECG from a local file, at the file's sampling rate. A WFDB record needs no extension.

    Raises UnusableEcgError if the ECG cannot be read.

    >>> read("no-such-folder/100")
    Traceback (most recent call last):
    stence.ecg.reasons.UnusableEcgError: there is no file no-such-folder/100
    """
    main, content = _main_file(Path(path))
    files = {main.name: content}
    for name in companions(main.name, content):
        with suppress(FileNotFoundError):  # decode reports missing files
            files[name] = main.with_name(name).read_bytes()
    return decode(main.name, files)


def _main_file(path: Path) -> tuple[Path, bytes]:
    for candidate in (path, path.with_name(f"{path.name}.hea")):
        with suppress(FileNotFoundError, IsADirectoryError):
            return candidate, candidate.read_bytes()
    raise refuse(Reason.OBJECT_MISSING, f"there is no file {path}")


def _decode(name: str, files: Mapping[str, bytes], limits: Limits) -> Recording:
    content = files[name]
    if _is_wfdb(name):
        return wfdb.decode(content, files, limits)
    for module in _MODULES:
        if (file_format := _format(module)).recognises(content):
            return file_format.decode(content, limits)
    kind = suffix_of(name)[:16] or "no extension"
    raise refuse(Reason.UNSUPPORTED_FORMAT, f"no ECG format that stence reads ({kind})")


@lru_cache
def _format(module: str) -> Format:
    """Import a format when a file may be of it: pydicom takes longer to load than a file to read."""
    return cast(Format, import_module(f"{__name__}.{module}"))


def _is_wfdb(name: str) -> bool:
    return name.lower().endswith(HEADER)
