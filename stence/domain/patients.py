"""Patient numbers: one rule for WFDB, DICOM, manifests, cath reports, angiograms and merge tables.

Two numbers that differ in any character are two patients. Nothing is guessed: an ambiguous text is refused.
"""

from __future__ import annotations

import re
import unicodedata

MAX_PATIENT_ID_CHARACTERS = 64
"""Limit of DICOM's value representation LO (PS3.5 6.2)."""

MAX_WRITTEN_CHARACTERS = 4 * MAX_PATIENT_ID_CHARACTERS
"""Longest text that is brought into form NFC, which takes time by the square of a run of accents."""

_PLACEHOLDERS = frozenset(
    {
        *("unknown", "unk", "unbekannt", "anonymous", "anonymized", "anonymised", "anon"),
        *("none", "null", "nil"),
        *("nan", "na", "n/a", "test", "testpatient", "test patient", "dummy", "patient", "nobody"),
    }
)
_NOTHING_BUT_ZEROS = re.compile(r"[0\W_]+")
_PADDING = " \t\r\n\v\f\0"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class PatientIdError(ValueError):
    """The text is not a patient number. The message gives the reason, without the text."""


def patient_id(text: str | None) -> str | None:
    """Return the patient number in ``text``, stripped of blanks and NULs, in Unicode form NFC.

    An empty text and a placeholder (``0000000``, ``UNKNOWN``, ``TEST``) give None. Raises PatientIdError if
    the number cannot be read with certainty.

    >>> patient_id(" 12345\\0")
    '12345'
    >>> patient_id("0000000") is None
    True
    """
    written = (text or "").strip(_PADDING)
    if len(written) > MAX_WRITTEN_CHARACTERS:
        raise _too_long(written)
    plain = unicodedata.normalize("NFC", written)
    if not plain or _NOTHING_BUT_ZEROS.fullmatch(plain) or plain.casefold() in _PLACEHOLDERS:
        return None
    if len(plain) > MAX_PATIENT_ID_CHARACTERS:
        raise _too_long(plain)
    if _REPLACEMENT in plain:
        raise PatientIdError("the patient number is not in the character set that its source declares")
    if "\\" in plain:
        raise PatientIdError("the patient number holds a backslash, which separates several values in DICOM")
    if not plain.isprintable():
        raise PatientIdError("the patient number holds characters that cannot be printed")
    return plain


def certain_id(text: str, refusal: type[Exception]) -> str:
    """Return the patient number that a person wrote. Raises ``refusal``, in words, if it is none.

    >>> certain_id(" 12345", ValueError)
    '12345'
    """
    try:
        found = patient_id(text)
    except PatientIdError as error:
        raise refusal(f"This is not a patient number: {error}.") from None
    if found is None:
        raise refusal("A placeholder or an empty text is not a patient number.")
    return found


def _too_long(text: str) -> PatientIdError:
    return PatientIdError(
        f"the patient number has {len(text)} characters; at most {MAX_PATIENT_ID_CHARACTERS} are read"
    )
