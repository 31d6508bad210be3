"""Patient, device and time in MFER (ISO 22077-1, 6)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import NamedTuple

from stence.domain.patients import PatientIdError, patient_id
from stence.ecg.formats.mfer.elements import Elements, Tag, Value
from stence.ecg.recording import Sex

MAX_TEXT_BYTES = 1024
_SEXES: Mapping[int, Sex] = {1: "M", 2: "F"}
_NOTHING = Value(b"", "big")


class Particulars(NamedTuple):
    """What the file says about patient and device, in the terms of ``Recording``."""

    patient_id: str | None
    acquired_at: datetime | None
    device: str | None
    device_serial: str | None
    sex: Sex | None
    age: float | None
    filters: str | None


def read(elements: Elements) -> Particulars:
    """Return the particulars. Raises PatientIdError for a number that cannot be read with certainty."""
    root = elements.root
    maker, model, _, serial = (_text(root.get(Tag.DEVICE, _NOTHING)).split("^", 3) + [""] * 4)[:4]
    moment = _moment(root.get(Tag.TIME, _NOTHING))
    return Particulars(
        _patient(root),
        moment,
        f"{maker} {model}".strip() or None,
        serial or None,
        _SEXES.get(root.get(Tag.SEX, _NOTHING).number()),
        _age(root.get(Tag.AGE, _NOTHING), moment),
        _text(root.get(Tag.FILTER, _NOTHING)) or None,
    )


def _text(value: Value) -> str:
    """Return a text up to its NUL. Bytes that are not UTF-8 are replaced."""
    return value.content[:MAX_TEXT_BYTES].split(b"\0", 1)[0].decode("utf-8", "replace").strip()


def _patient(root: Mapping[int, Value]) -> str | None:
    """Return the patient's number: ASCII, or UTF-8 if the file declares it."""
    written = root.get(Tag.PATIENT, _NOTHING).content
    if len(written) > MAX_TEXT_BYTES:
        raise PatientIdError(
            f"the patient number has {len(written)} bytes; at most {MAX_TEXT_BYTES} are read"
        )
    is_utf8 = _text(root.get(Tag.CHARACTERS, _NOTHING)).upper() in ("UTF-8", "UTF8")
    try:
        return patient_id(written.decode("utf-8" if is_utf8 else "ascii"))
    except UnicodeDecodeError:
        raise PatientIdError("the patient number is not in a character set that is read for MFER") from None


def _moment(value: Value) -> datetime | None:
    """Return the local time: year in two bytes, month to second, then milli- and microseconds in two each."""
    if len(value.content) < 7:
        return None
    fraction = value.number(7, 9) * 1000 + value.number(9, 11)
    try:
        day = date(value.number(0, 2), *value.content[2:4])
        hour, minute, second = value.content[4:7]
        return datetime.combine(day, time(hour, minute, second, fraction))
    except ValueError:
        return None


def _age(value: Value, moment: datetime | None) -> float | None:
    """Return the age in years from the date of birth, else the completed years that are written.

    0 stands for no age, and so does 255, which no ``Recording`` takes.
    """
    if len(value.content) != 7:
        return None
    try:
        born = date(value.number(3, 5), *value.content[5:7])
    except ValueError:
        born = None
    if born and moment:
        return (moment.date() - born).days / 365.25
    return float(value.content[0]) or None
