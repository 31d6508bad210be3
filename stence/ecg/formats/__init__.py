"""Read ECG files. The content decides the format; a WFDB header is known by its name.

A format is a module of this package that fits ``Format``, listed in ``_MODULES``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from stence.domain.patients import PatientIdError
from stence.ecg.formats import archives, tables, wfdb
from stence.ecg.formats.contained import only_ecg
from stence.ecg.formats.kinds import is_header, suffix_of
from stence.ecg.formats.limits import DEFAULT_LIMITS, Limits
from stence.ecg.formats.tables import Layout
from stence.ecg.reasons import Reason, UnusableEcgError, refuse
from stence.ecg.recording import Recording

_MODULES = ("muse", "sierra", "aecg", "scp", "mfer", "ishne", "edf", "dicom")
"""Formats in the order in which they are asked; those that import much come last."""


class Format(Protocol):
    """A file format of one file per ECG, as a module."""

    NAME: str
    """Name of the format, for people and for ``Recording.format``."""

    def recognises(self, content: bytes) -> bool:
        """Return True if the bytes are of this format, by their first few hundred bytes."""

    def decode(self, content: bytes, limits: Limits) -> Recording:
        """Decode the recording. Raises UnusableEcgError, or any error of a library on hostile bytes."""


def companions(name: str, files: Mapping[str, bytes], limits: Limits = DEFAULT_LIMITS) -> tuple[str, ...]:
    """Return the names of further files that the main file needs, relative to its folder.

    ``files`` maps the names of those that are there to their bytes: headers of segments name further files.
    Raises UnusableEcgError if a header is broken.

    >>> from stence.ecg import LEADS
    >>> lines = ["100 12 500 5000", *(f"100.dat 16 1000 16 0 0 0 0 {lead}" for lead in LEADS)]
    >>> companions("100.hea", {"100.hea": "\\n".join(lines).encode()})
    ('100.dat',)
    """
    return wfdb.companions(files[name], files, limits) if is_header(name) else ()


def parts(name: str, files: Mapping[str, bytes], limits: Limits = DEFAULT_LIMITS) -> tuple[str, ...] | None:
    """Return the names of all files that belong to the main file, needed or not; None if it cannot be read.

    >>> parts("100.hea", {"100.hea": b"100 1 500 5000\\n100.dat 16 1000 16 0 0 0 0 Pleth"})
    ('100.dat',)
    """
    if not is_header(name):
        return ()
    try:
        return wfdb.parts(files[name], files, limits)
    except UnusableEcgError:
        return None


def decode(
    name: str, files: Mapping[str, bytes], limits: Limits = DEFAULT_LIMITS, layout: Layout | None = None
) -> Recording:
    """Decode the recording in the main file ``name``. ``files`` maps names to bytes, companions included.

    The main file may be an archive of one ECG. ``layout`` is for tables, which are no ECGs without one.
    Raises UnusableEcgError for all unusable bytes, and no other exception.

    >>> from stence.ecg import LEADS
    >>> lines = ["100 12 500 1000", *(f"100.dat 16 1000 16 0 0 0 0 {lead}" for lead in LEADS)]
    >>> files = {"100.hea": "\\n".join(lines).encode(), "100.dat": bytes(2 * 12 * 1000)}
    >>> decode("100.hea", files).signal.shape
    (12, 1000)
    """
    if name not in files:
        raise refuse(Reason.OBJECT_MISSING, "the ECG's main file is missing")
    try:
        with np.errstate(all="ignore"):  # absurd gains overflow to infinity; the quality check reports that
            return _decode(name, files, limits, layout)
    except UnusableEcgError:
        raise
    except PatientIdError as error:
        raise refuse(Reason.UNREADABLE_PATIENT, str(error)) from None
    except MemoryError:
        raise refuse(Reason.DECODE_MEMORY, "decoding it takes more memory than it may") from None
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
    for _ in range(2):  # the headers of segments name further files
        for name in companions(main.name, files):
            with suppress(FileNotFoundError):  # decode reports missing files
                files[name] = main.with_name(name).read_bytes()
    return decode(main.name, files)


def _main_file(path: Path) -> tuple[Path, bytes]:
    for candidate in (path, path.with_name(f"{path.name}.hea")):
        with suppress(FileNotFoundError, IsADirectoryError):
            return candidate, candidate.read_bytes()
    raise refuse(Reason.OBJECT_MISSING, f"there is no file {path}")


def _decode(name: str, files: Mapping[str, bytes], limits: Limits, layout: Layout | None) -> Recording:
    content = files[name]
    if is_header(name):
        return wfdb.decode(content, files, limits)
    if archives.recognises(content):  # its members are none
        return _decode(*only_ecg(name, content, limits, layout), limits, layout)
    if layout is not None and name.lower().endswith(layout.suffix):
        return tables.decode(content, layout, limits)
    for module in _MODULES:
        if (file_format := _format(module)).recognises(content):
            return file_format.decode(content, limits)
    kind = suffix_of(name)[:16] or "no extension"
    raise refuse(Reason.UNSUPPORTED_FORMAT, f"no ECG format that stence reads ({kind})")


@lru_cache
def _format(module: str) -> Format:
    """Import a format when a file may be of it: pydicom takes longer to load than a file to read."""
    return cast(Format, import_module(f"{__name__}.{module}"))
