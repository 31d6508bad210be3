"""ECG files of every format that stence reads, by name and content."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

import numpy as np

from stence.domain.patients import PatientIdError
from stence.ecg.formats import dicom, wfdb
from stence.ecg.reasons import Reason, UnusableEcgError, refuse
from stence.ecg.recording import LEADS, Recording

_COMPANIONS = frozenset({".dat", ".mat", ".xyz"})
_TABLES_AND_TEXTS = frozenset({".csv", ".tsv", ".txt", ".md", ".json", ".html", ".pdf", ".png", ".jpg"})
_WFDB_ANNOTATIONS = frozenset({".atr", ".qrs", ".ann", ".ecg", ".pu", ".pwave"}) | {
    f".{lead.lower()}" for lead in LEADS
}
_IGNORED = _TABLES_AND_TEXTS | _WFDB_ANNOTATIONS
_IGNORED_NAMES = frozenset({"RECORDS", "ANNOTATORS", "README", "LICENSE"})


def is_main_file(key: str) -> bool:
    """Whether the key names an ECG by itself: ``.hea``, ``.dcm``, or a kind that nothing else explains.

    The last are indexed too, so that an ECG of an unknown format ends in quarantine and not in oblivion.
    """
    path = PurePosixPath(key)
    hidden = any(part.startswith(".") for part in path.parts)
    known = path.suffix.lower() in _COMPANIONS | _IGNORED or path.name.upper() in _IGNORED_NAMES
    return not (hidden or known)


def is_companion(key: str) -> bool:
    """Whether the key names a signal file, which belongs to some main file beside it."""
    return PurePosixPath(key).suffix.lower() in _COMPANIONS


def companions(name: str, content: bytes) -> tuple[str, ...]:
    """Names, relative to the main file's folder, of the further files that the main file needs.

    Raises UnusableEcgError if its header is broken.
    """
    return wfdb.companions(content) if _is_wfdb(name) else ()


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
    kind = PurePosixPath(name).suffix.lower()[:16] or "no extension"
    raise refuse(Reason.UNSUPPORTED_FORMAT, f"neither a WFDB header nor a DICOM file ({kind})")


def _is_wfdb(name: str) -> bool:
    return name.lower().endswith(".hea")
