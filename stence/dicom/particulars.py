"""Patient number, acquisition time and age in DICOM objects, for ECGs and angiograms."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import DT, TEXT_VR_DELIMS

from stence.dicom.elements import MAX_TEXT_BYTES, text, value
from stence.domain.patients import PatientIdError, patient_id
from stence.domain.times import plausible_age, plausible_time

PARTICULARS = (
    "SpecificCharacterSet",
    "PatientID",
    "PatientAge",
    "TimezoneOffsetFromUTC",
    "AcquisitionDateTime",
    *(
        f"{level}{part}"
        for level in ("Acquisition", "Content", "Series", "Study")
        for part in ("Date", "Time")
    ),
)
"""Keywords of the elements that this module reads."""

_ESCAPE = 0x1B
_EXACT_TO_THE_MINUTE = re.compile(r"[0-9]{12}")
_ZONE = re.compile(r"[-+][0-9]{4}$")
_AGE = re.compile(r"([0-9]{1,3})([DWMY])")
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}


def patient_number(dataset: Dataset) -> str | None:
    """Return the Patient ID (0010,0020) by the rule for patient numbers; None if it names nobody.

    Raises PatientIdError if the number cannot be read with certainty. Examples are several values, and
    non-ASCII characters without a known, declared character set (PS3.3 C.12.1.1.2).
    """
    element: Any = dataset.get_item("PatientID")
    if element is None or not element.value:
        return None
    raw = element.value
    if not isinstance(element, RawDataElement) or not isinstance(raw, bytes):
        raise PatientIdError("the patient number is not text")
    if len(raw) > MAX_TEXT_BYTES:
        raise PatientIdError(f"the patient number has {len(raw)} bytes; at most {MAX_TEXT_BYTES} are read")
    if raw.isascii() and _ESCAPE not in raw:
        return patient_id(raw.decode("ascii"))
    declared = text(dataset, "SpecificCharacterSet").split("\\")
    if not any(declared) or not all(name in python_encoding for name in declared):
        raise PatientIdError("the patient number is not in the character set that its source declares")
    return patient_id(decode_bytes(raw, convert_encodings(declared), TEXT_VR_DELIMS))


def acquired_at(dataset: Dataset) -> datetime | None:
    """Return the acquisition time, from the best element. It is aware if the file names a time zone.

    Acquisition Date Time comes first, then separate date and time of acquisition, content, series and study.
    The first value that is exact to the minute counts. An implausible time gives None.
    """
    levels = ("Acquisition", "Content", "Series", "Study")
    texts = [text(dataset, "AcquisitionDateTime")]
    texts += [text(dataset, f"{level}Date") + text(dataset, f"{level}Time") for level in levels]
    exact = next(filter(_EXACT_TO_THE_MINUTE.match, texts), "")
    return _moment(exact, text(dataset, "TimezoneOffsetFromUTC"))


def _moment(written: str, offset: str) -> datetime | None:
    try:
        read = DT(written if _ZONE.search(written) else written + offset)
        moment = datetime.combine(read.date(), read.timetz())
    except (ValueError, AttributeError, TypeError, OverflowError):
        return None
    return moment if plausible_time(moment) else None


def age(dataset: Dataset) -> float | None:
    """Return the Patient's Age (0010,1010) in years; None if it is missing or implausible."""
    match = _AGE.fullmatch(str(value(dataset, "PatientAge") or "").strip(" \0"))
    years = int(match[1]) * _YEARS[match[2]] if match else -1.0
    return years if plausible_age(years) else None
