"""Write ECGs for others to read: WFDB records and DICOM 12-lead ECGs.

Only what ``Particulars`` names is written. Nothing else of a recording can leave through a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from stence.ecg.recording import Recording
from stence.ecg.writing import dicom, wfdb
from stence.ecg.writing.particulars import Particulars

Writer = Callable[[str, Recording, Particulars], Mapping[str, bytes]]
"""Return the files of an ECG by name, given the name without extension. Raises UnusableEcgError."""

WRITERS: Mapping[str, Writer] = MappingProxyType({"wfdb": wfdb.files, "dicom": dicom.files})

__all__ = ["WRITERS", "Particulars", "Writer"]
