"""Kinds of files, by their names."""

from __future__ import annotations

from enum import StrEnum, auto

from stence.ecg.recording import LEADS

_HEADER = ".hea"
TABLES = (".csv", ".tsv", ".txt")
ARCHIVES = (".gz", ".tgz", ".tar", ".zip", ".wfdb")
_SIGNALS = frozenset({".dat", ".mat", ".xyz"})
_TABLES_AND_TEXTS = frozenset({*TABLES, ".md", ".json", ".yaml", ".html", ".pdf", ".png", ".jpg"})
_ANNOTATIONS = frozenset({".atr", ".qrs", ".ann", ".ecg", ".pu", ".pwave"}) | {
    f".{lead.lower()}" for lead in LEADS
}
_NAMES = frozenset({"RECORDS", "ANNOTATORS", "README", "LICENSE"})


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


def is_header(name: str) -> bool:
    """Return True if the file is a WFDB header by its name."""
    return name.lower().endswith(_HEADER)


def is_table(name: str) -> bool:
    """Return True if the file is a table of numbers by its name: an ECG where a layout is declared for it."""
    return suffix_of(name) in TABLES


def is_archive(name: str) -> bool:
    """Return True if the file is an archive or a compressed file by its name."""
    return suffix_of(name) in ARCHIVES


def suffix_of(name: str) -> str:
    """Return the lower-case suffix of a file name with its dot, like pathlib but five times as fast."""
    dot = name.rfind(".")
    return name[dot:].lower() if 0 < dot < len(name) - 1 else ""


def is_hidden(key: str) -> bool:
    """Return True if the file or one of its folders is hidden. Programs often hide unfinished files."""
    return "/." in f"/{key}" and any(part.startswith(".") and part != "." for part in key.split("/"))
