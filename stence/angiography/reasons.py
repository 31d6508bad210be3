"""Reasons why an angiogram is refused, and a remedy for each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, auto
from types import MappingProxyType

from stence.domain.text import plain_text
from stence.errors import StenceError


class Reason(StrEnum):
    """Typed reasons; the values are stored in ``quarantine.reason`` and never change their meaning."""

    # the object in the store
    OBJECT_MISSING = auto()
    OBJECT_TOO_LARGE = auto()
    OBJECT_FORBIDDEN = auto()
    OBJECT_UNREADABLE = auto()
    # the file
    NOT_DICOM = auto()
    BROKEN_HEADER = auto()
    TRUNCATED = auto()
    # its content
    NOT_XA = auto()
    NOT_CORONARY = auto()
    NOT_A_RUN = auto()
    TWO_PLANES = auto()
    ANGLES_MISSING = auto()
    ROTATING = auto()
    # its pixels
    IMPLAUSIBLE_SIZE = auto()
    UNSUPPORTED_PIXELS = auto()
    BROKEN_PIXELS = auto()
    BLANK = auto()
    DECODE_TIMEOUT = auto()
    DECODE_MEMORY = auto()
    DECODER_DIED = auto()
    # its patient
    UNKNOWN_PATIENT = auto()
    UNREADABLE_PATIENT = auto()
    PATIENT_MISMATCH = auto()
    NO_STUDY = auto()
    OPTED_OUT = auto()


REMEDIES: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.OBJECT_MISSING: "put it there, the next index takes it up",
        Reason.OBJECT_TOO_LARGE: "raise STENCE_MAX_ANGIOGRAM_BYTES if it is sound, then retry",
        Reason.OBJECT_FORBIDDEN: "grant stence the right to read it, then retry",
        Reason.OBJECT_UNREADABLE: "mend it in the store, then retry",
        Reason.NOT_DICOM: "export it again as a DICOM file, or move it out of the angiograms' prefix",
        Reason.BROKEN_HEADER: "export it again from the archive",
        Reason.TRUNCATED: "copy it again from the archive",
        Reason.NOT_XA: "nothing to do: only X-ray angiograms are read; or move it out of the prefix",
        Reason.NOT_CORONARY: "nothing to do, unless the body part is wrong in the archive: mend it there",
        Reason.NOT_A_RUN: "nothing to do: a still shows no contrast running in",
        Reason.TWO_PLANES: "export each plane as an object of its own",
        Reason.ANGLES_MISSING: "export it from the archive with the C-arm's angles, else it cannot be used",
        Reason.ROTATING: "nothing to do: a view has one pair of angles",
        Reason.IMPLAUSIBLE_SIZE: "compare it with the archive's copy and export it again",
        Reason.UNSUPPORTED_PIXELS: "export it in another transfer syntax, such as JPEG Lossless",
        Reason.BROKEN_PIXELS: "export it again from the archive",
        Reason.BLANK: "look at it in the archive; if it shows vessels there, export it again",
        Reason.DECODE_TIMEOUT: "raise STENCE_DECODE_SECONDS if it is sound, then retry",
        Reason.DECODE_MEMORY: "raise STENCE_DECODE_MEMORY_BYTES if it is sound, then retry",
        Reason.DECODER_DIED: "retry once; if it dies again, export it in another transfer syntax",
        Reason.UNKNOWN_PATIENT: "name the patient in the file, then retry",
        Reason.UNREADABLE_PATIENT: "mend the patient's number in the archive and export it again",
        Reason.PATIENT_MISMATCH: "mend whichever is wrong, then retry",
        Reason.NO_STUDY: "deliver its cath report, then retry",
        Reason.OPTED_OUT: "nothing to do",
    }
)


MAX_DETAIL_CHARACTERS = 1000


class UnusableAngiogramError(StenceError):
    """The angiogram cannot be used and goes to quarantine: ``reason`` for machines, ``detail`` for people.

    Neither holds a patient's identifier. ``detail`` has no characters that Postgres cannot store.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        self.detail = plain_text(detail, MAX_DETAIL_CHARACTERS) or str(reason)
        super().__init__(self.detail)


def refuse(reason: Reason, what: str) -> UnusableAngiogramError:
    """Build the error to raise: ``what`` is wrong, and the remedy."""
    return UnusableAngiogramError(reason, f"{what}; {REMEDIES[reason]}")
