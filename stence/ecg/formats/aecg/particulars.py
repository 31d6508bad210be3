"""Subject, time, device and site of an aECG."""

from __future__ import annotations

import re
from datetime import datetime
from xml.etree.ElementTree import Element

from stence.ecg.formats.xml_document import age_at, attribute, moment, number, only_patient, text
from stence.ecg.recording import Sex

_SUBJECT = "componentOf/timepointEvent/componentOf/subjectAssignment/subject/trialSubject"
_PERSON = f"{_SUBJECT}/subjectDemographicPerson"
_AUTHOR = "author/seriesAuthor"
_DEVICE = f"{_AUTHOR}/manufacturedSeriesDevice"
_AGE_CODE = "21612-7"  # LOINC: age as reported
_YEARS = {"a": 1.0, "mo": 1 / 12, "wk": 7 / 365.25, "d": 1 / 365.25}  # UCUM units
_SEXES: dict[str, Sex] = {"F": "F", "M": "M"}
_TIME = re.compile(r"([0-9]{12})([0-9]{2})?(?:\.([0-9]{1,6})[0-9]*)?([-+][0-9]{4})?")
"""Point in time (HL7 data type TS) that is exact to the minute."""
_MAX_TIME_CHARACTERS = 40


def patient_number(root: Element) -> str | None:
    """Return the subject's number: the extension of its identifier, else the root (HL7 data type II)."""
    ids = root.iterfind(f"{_SUBJECT}/id")
    return only_patient(found.get("extension") or found.get("root") or "" for found in ids)


def sex(root: Element) -> Sex | None:
    """Return the administrative gender."""
    return _SEXES.get(attribute(root, f"{_PERSON}/administrativeGenderCode", "code"))


def age(root: Element, acquired: datetime | None) -> float | None:
    """Return the age in years: as reported, else from the date of birth."""
    for reported in root.iterfind("controlVariable/relatedObservation"):
        value = number(attribute(reported, "value", "value"))
        years = _YEARS.get(attribute(reported, "value", "unit"))
        if attribute(reported, "code", "code") == _AGE_CODE and value is not None and years is not None:
            return value * years
    return age_at(moment(attribute(root, f"{_PERSON}/birthTime", "value")[:8], "%Y%m%d"), acquired)


def acquired_at(root: Element, series: Element, sequences: list[Element]) -> datetime | None:
    """Return the start of the samples, else of the series, else of the ECG."""
    written = [attribute(sequence, "value/head", "value") for sequence in sequences]
    written += [attribute(series, "effectiveTime/low", "value")]
    written += [attribute(root, f"effectiveTime/{part}", "value") for part in ("low", "center")]
    return next((time for time in map(point_in_time, written) if time is not None), None)


def point_in_time(written: str) -> datetime | None:
    """Return the time, aware if a zone is given; None if it is not exact to the minute.

    >>> point_in_time("20021122091000.250-0500").isoformat()
    '2002-11-22T09:10:00.250000-05:00'
    """
    match = _TIME.fullmatch(written) if len(written) <= _MAX_TIME_CHARACTERS else None
    if match is None:
        return None
    minutes, seconds, fraction, zone = match.groups()
    text = f"{minutes}{seconds or '00'}{(fraction or '0').ljust(6, '0')}"
    return moment(text + (zone or ""), "%Y%m%d%H%M%S%f" + ("%z" if zone else ""))


def author(series: Element) -> tuple[str | None, str | None]:
    """Return manufacturer and model, and the serial number, which stands with the device or its role."""
    names = (f"{_AUTHOR}/manufacturerOrganization/name", f"{_DEVICE}/manufacturerModelName")
    device = " ".join(filter(None, (text(series, name) for name in names)))
    serials = (attribute(series, f"{place}/id", "extension") for place in (_DEVICE, _AUTHOR))
    return device or None, next(filter(None, serials), None)


def site(root: Element) -> str | None:
    """Return the name of the place where the ECG was recorded."""
    return text(root, "location/testingSite/location/name") or None
