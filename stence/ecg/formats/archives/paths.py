"""Paths of members, none of which leads out of its archive."""

from __future__ import annotations

import re

from stence.ecg.reasons import Reason, UnusableEcgError, refuse

MAX_PATH_BYTES = 512
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]|^/|^[A-Za-z]:|(^|/)\.\.(/|$)")


def safe_path(path: str) -> str:
    r"""Return the path without empty and ``.`` segments.

    Raises UnusableEcgError if it is absolute, long, empty, or has ``..``, backslashes or control characters.

    >>> safe_path("./ward/a.xml")
    'ward/a.xml'
    """
    plain = "/".join(part for part in path.split("/") if part not in ("", "."))
    if not plain or len(path.encode(errors="replace")) > MAX_PATH_BYTES or _UNSAFE.search(path):
        raise unsafe("a path that leads out of it, or is no plain path")
    return plain


def unsafe(what: str) -> UnusableEcgError:
    """Build the error for an archive that a careless program would unpack over other files."""
    return refuse(Reason.UNSAFE_ARCHIVE, f"the archive has {what}; pack the ECG again, as plain files")
