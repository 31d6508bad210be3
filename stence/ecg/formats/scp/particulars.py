"""Patient, device and acquisition in section 1 of SCP-ECG (EN 1064, 5.4)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import NamedTuple

from stence.domain.patients import PatientIdError, patient_id
from stence.ecg.formats.scp.sections import Section
from stence.ecg.machine import filters
from stence.ecg.reasons import Reason, refuse
from stence.ecg.recording import Sex

MAX_TEXT_BYTES = 1024
MAX_TAGS = 1024
"""Largest number of tags in section 1. The standard has 36, of which a few may be repeated."""
_PATIENT, _AGE, _BORN, _SEX, _INDICATION, _DEVICE = 2, 4, 5, 8, 13, 14
_INSTITUTION, _DATE, _TIME = 16, 25, 26
_HIGH_PASS, _LOW_PASS, _FILTERS, _ZONE, _HISTORY, _END = 27, 28, 29, 34, 35, 255

_YEARS = {1: 1.0, 2: 1 / 12, 3: 7 / 365.25, 4: 1 / 365.25, 5: 1 / (24 * 365.25)}
_SEXES: Mapping[int, Sex] = {1: "M", 2: "F"}
_ENCODINGS = {
    **{0x00: "ascii", 0x01: "latin-1", 0x03: "iso8859-2", 0x0B: "iso8859-4", 0x13: "iso8859-5"},
    **{0x1B: "iso8859-6", 0x23: "iso8859-7", 0x2B: "iso8859-8", 0x37: "utf-8"},
}
"""Language support codes whose texts are ASCII at least where a byte is below 128."""
_MULTIBYTE = 0x04
_MANUFACTURERS = (
    *("", "Burdick", "Cambridge", "Compumed", "Datamed", "Fukuda", "Hewlett-Packard", "Marquette"),
    *("Mortara", "Nihon Kohden", "Okin", "Quinton", "Siemens", "Spacelabs", "Telemed", "Hellige"),
    *("ESA-OTE", "Schiller", "Picker-Schwarzer"),
)
_MODEL, _LANGUAGE, _FIXED_BYTES = slice(8, 14), 16, 36
_UNNAMED = frozenset({"", "unknown"})
_ZONE_UNKNOWN = 0x7FFF


class Particulars(NamedTuple):
    """What section 1 says, in the terms of ``Recording``. ``encoding`` is the one of all texts."""

    patient_id: str | None = None
    acquired_at: datetime | None = None
    device: str | None = None
    device_serial: str | None = None
    sex: Sex | None = None
    age: float | None = None
    site: str | None = None
    indication: str | None = None
    filters: str | None = None
    encoding: str | None = None


def read(sections: Mapping[int, Section]) -> Particulars:
    """Return the particulars; empty ones without a section 1.

    Raises UnusableEcgError if a tag ends after the section, and PatientIdError if the patient's number cannot
    be read with certainty.
    """
    if 1 not in sections:
        return Particulars()
    fields = _fields(sections[1])
    tags = {tag: values[0] for tag, values in fields.items()}
    encoding = _encoding(tags)
    device, serial = _device(tags.get(_DEVICE, b""), encoding)
    day = _day(tags.get(_DATE, b""))
    return Particulars(
        patient_id=_patient(fields.get(_PATIENT, []), encoding),
        acquired_at=_moment(day, tags),
        device=device,
        device_serial=serial,
        sex=_SEXES.get(int.from_bytes(tags.get(_SEX, b""), "little")),
        age=_age(tags, day),
        site=text(tags.get(_INSTITUTION, b""), encoding),
        indication=text(tags.get(_INDICATION, b""), encoding) or text(tags.get(_HISTORY, b""), encoding),
        filters=_filters(tags),
        encoding=encoding,
    )


def text(value: bytes, encoding: str | None) -> str:
    """Return a text up to its NUL. Without a known encoding, only ASCII is certain; the rest is replaced."""
    return value[:MAX_TEXT_BYTES].split(b"\0", 1)[0].decode(encoding or "ascii", "replace").strip()


def _fields(section: Section) -> dict[int, list[bytes]]:
    """Return the values of each tag, up to the end tag."""
    cursor, fields = section.cursor(), dict[int, list[bytes]]()
    for _ in range(MAX_TAGS):
        if not cursor.left or (tag := cursor.number(1)) == _END:
            return fields
        fields.setdefault(tag, []).append(cursor.take(cursor.number(2)))
    raise refuse(Reason.IMPLAUSIBLE_SIZE, f"more than {MAX_TAGS} tags in section 1", value=MAX_TAGS)


def _encoding(tags: Mapping[int, bytes]) -> str | None:
    """Return the encoding by the acquiring device's language support code; None for an unknown code."""
    device = tags.get(_DEVICE, b"")
    return _ENCODINGS.get(device[_LANGUAGE] if len(device) > _LANGUAGE else 0)


def _patient(values: list[bytes], encoding: str | None) -> str | None:
    numbers = {_number(value, encoding) for value in values} - {None}
    if len(numbers) > 1:
        raise refuse(Reason.UNREADABLE_PATIENT, "the SCP-ECG file names several patients")
    return numbers.pop() if numbers else None


def _number(value: bytes, encoding: str | None) -> str | None:
    if len(value) > MAX_TEXT_BYTES:
        raise PatientIdError(f"the patient number has {len(value)} bytes; at most {MAX_TEXT_BYTES} are read")
    if encoding is None:
        raise PatientIdError("the patient number is in a character set that is not read")
    try:
        return patient_id(value.split(b"\0", 1)[0].decode(encoding))
    except UnicodeDecodeError:
        raise PatientIdError(
            "the patient number is not in the character set that its source declares"
        ) from None


def _device(value: bytes, encoding: str | None) -> tuple[str | None, str | None]:
    """Return manufacturer with model, and serial number, of the acquiring device (tag 14)."""
    if len(value) < _FIXED_BYTES:
        return None, None
    texts = [text(part, encoding) for part in value[_FIXED_BYTES:].split(b"\0", 5)[:5]]
    _, serial, _, _, maker = texts + [""] * (5 - len(texts))
    code = value[7]
    maker = maker or (_MANUFACTURERS[code] if code < len(_MANUFACTURERS) else "")
    names = [maker, text(value[_MODEL], encoding)]
    device = " ".join(name for name in names if name.lower() not in _UNNAMED)
    return device or None, None if serial.lower() in _UNNAMED else serial


def _day(value: bytes) -> date | None:
    """Return a date of two bytes for the year, one for the month and one for the day."""
    if len(value) != 4:
        return None
    try:
        return date(int.from_bytes(value[:2], "little"), value[2], value[3])
    except ValueError:  # zeros stand for an unknown date
        return None


def _moment(day: date | None, tags: Mapping[int, bytes]) -> datetime | None:
    clock = tags.get(_TIME, b"")
    if day is None or len(clock) != 3:
        return None
    try:
        return datetime.combine(day, time(*clock), _zone(tags.get(_ZONE, b"")))
    except ValueError:
        return None


def _zone(value: bytes) -> timezone | None:
    """Return the time zone from its minutes east of UTC (tag 34); None if it is unknown."""
    minutes = int.from_bytes(value[:2], "little", signed=True)
    if len(value) < 2 or minutes == _ZONE_UNKNOWN:
        return None
    return timezone(timedelta(minutes=minutes)) if minutes else UTC


def _age(tags: Mapping[int, bytes], day: date | None) -> float | None:
    """Return the age in years as written, else from the date of birth to the acquisition."""
    value = tags.get(_AGE, b"")
    if len(value) == 3 and value[2] in _YEARS:
        return int.from_bytes(value[:2], "little") * _YEARS[value[2]]
    born = _day(tags.get(_BORN, b""))
    return (day - born).days / 365.25 if day and born else None


def _filters(tags: Mapping[int, bytes]) -> str | None:
    """Describe the filters: tag 27 in hundredths of a hertz, tag 28 in hertz, bits of tag 29 for notches."""
    high_pass, low_pass = (
        int.from_bytes(tags.get(tag, b"")[:2], "little") for tag in (_HIGH_PASS, _LOW_PASS)
    )
    bits = int.from_bytes(tags.get(_FILTERS, b"")[:1], "little")
    return filters(high_pass / 100, low_pass, 60 if bits & 1 else 50 if bits & 2 else None)
