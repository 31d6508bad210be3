"""ECG files of every format that stence reads, by name and content."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum, auto
from pathlib import Path

import numpy as np

from stence.domain.patients import PatientIdError
from stence.ecg.formats import dicom, wfdb
from stence.ecg.reasons import Reason, UnusableEcgError, refuse
from stence.ecg.recording import LEADS, Recording

_SIGNALS = frozenset({".dat", ".mat", ".xyz"})
_TABLES_AND_TEXTS = frozenset({".csv", ".tsv", ".txt", ".md", ".json", ".html", ".pdf", ".png", ".jpg"})
_ANNOTATIONS = frozenset({".atr", ".qrs", ".ann", ".ecg", ".pu", ".pwave"}) | {
    f".{lead.lower()}" for lead in LEADS
}
_NAMES = frozenset({"RECORDS", "ANNOTATORS", "README", "LICENSE"})
HEADER = ".hea"


class FileKind(StrEnum):
    """What a file's name says it is."""

    MAIN = auto()
    """An ECG by itself: a header, a DICOM file, or a kind that nothing else explains, to be told of."""
    SIGNAL = auto()
    """Samples of a WFDB record."""
    ANNOTATION = auto()
    """Beside a WFDB header of its name an annotation of it; else a kind that nothing explains."""
    OTHER = auto()
    """A table, text or picture, or hidden: no ECG."""


def file_kind(key: str) -> FileKind:
    """The kind of the file that an object's key names."""
    name = key.rstrip("/").rpartition("/")[2]
    suffix = suffix_of(name)
    if is_hidden(key) or suffix in _TABLES_AND_TEXTS or name.upper() in _NAMES:
        return FileKind.OTHER
    if suffix in _SIGNALS:
        return FileKind.SIGNAL
    return FileKind.ANNOTATION if suffix in _ANNOTATIONS else FileKind.MAIN


def suffix_of(name: str) -> str:
    """The suffix of a file's name in small letters, with its dot: that of pathlib, five times as fast."""
    dot = name.rfind(".")
    return name[dot:].lower() if 0 < dot < len(name) - 1 else ""


def is_hidden(key: str) -> bool:
    """Whether the file or a folder of it is hidden, as programs name what they have not finished."""
    return "/." in f"/{key}" and any(part.startswith(".") and part != "." for part in key.split("/"))


def companions(name: str, content: bytes) -> tuple[str, ...]:
    """Names, relative to the main file's folder, of the further files that the main file needs.

    Raises UnusableEcgError if its header is broken.
    """
    return wfdb.companions(content) if _is_wfdb(name) else ()


def signal_files(name: str, content: bytes) -> tuple[str, ...] | None:
    """Names of all signal files that the main file mentions, needed or not; None where it cannot be read."""
    if not _is_wfdb(name):
        return ()
    try:
        return wfdb.signal_files(content)
    except UnusableEcgError:
        return None


def decode(name: str, files: Mapping[str, bytes]) -> Recording:
    """The recording in the main file ``name``; ``files`` holds it and its companions by name.

    Raises UnusableEcgError, and nothing else, whatever the bytes.
    """
    if name not in files:
        raise refuse(Reason.OBJECT_MISSING, "the ECG's main file is missing")
    try:
        with np.errstate(all="ignore"):  # absurd gains overflow to infinity, which the quality check reports
            return _decode(name, files)
    except UnusableEcgError:
        raise
    except PatientIdError as error:
        raise refuse(Reason.UNREADABLE_PATIENT, str(error)) from None
    except Exception as error:  # hostile bytes reach libraries that promise nothing
        raise refuse(Reason.BROKEN_SIGNAL, f"the file cannot be decoded ({type(error).__name__})") from error


def read(path: str | Path) -> Recording:
    """Read an ECG from a local file, or a WFDB record by its name without extension, at the file's own rate.

    Raises UnusableEcgError if it cannot be read.
    """
    main, content = _main_file(Path(path))
    files = {main.name: content}
    for name in companions(main.name, content):
        with suppress(FileNotFoundError):  # decode names what is missing
            files[name] = main.with_name(name).read_bytes()
    return decode(main.name, files)


def _main_file(path: Path) -> tuple[Path, bytes]:
    for candidate in (path, path.with_name(f"{path.name}.hea")):
        with suppress(FileNotFoundError, IsADirectoryError):
            return candidate, candidate.read_bytes()
    raise refuse(Reason.OBJECT_MISSING, f"there is no file {path}")


def _decode(name: str, files: Mapping[str, bytes]) -> Recording:
    content = files[name]
    if _is_wfdb(name):
        return wfdb.decode(content, files)
    if dicom.recognises(content):
        return dicom.decode(content)
    kind = suffix_of(name)[:16] or "no extension"
    raise refuse(Reason.UNSUPPORTED_FORMAT, f"neither a WFDB header nor a DICOM file ({kind})")


def _is_wfdb(name: str) -> bool:
    return name.lower().endswith(HEADER)
