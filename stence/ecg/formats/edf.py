"""EDF and EDF+ (Kemp 1992 and 2003, edfplus.info). The header is checked here; ``edfio`` reads the rest."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.domain.patients import PatientIdError, patient_id
from stence.ecg.formats.limits import Limits, check_rate, check_size, millivolts
from stence.ecg.leads import complete, find_leads, lead_of_name
from stence.ecg.machine import filters
from stence.ecg.reasons import Reason, refuse
from stence.ecg.recording import Recording, Sex

if TYPE_CHECKING:
    from edfio import EdfSignal

NAME = "EDF"
_BLOCK = 256
"""Bytes of the fixed header, and of the header of each signal."""
_BEFORE_SAMPLES = 216
"""Bytes of each signal's header before its samples per record."""
_SEXES: dict[str, Sex] = {"F": "F", "M": "M"}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DATE = re.compile(r"([0-9]{2})-([A-Z]{3})-([0-9]{4})")
_SHORT_DATE = re.compile(r"([0-9]{2})\.([0-9]{2})\.([0-9]{2})([0-9]{2})\.([0-9]{2})\.([0-9]{2})")
_FIRST_YEAR = 85
_FILTER = re.compile(r"\b(HP|LP|N):\s{0,3}([0-9]{1,5}(?:\.[0-9]{1,5})?)\s{0,3}HZ", re.IGNORECASE)
_UNKNOWN = "X"
_DAYS_A_YEAR = 365.25


class _About(NamedTuple):
    """Patient and recording, as the fixed header gives them."""

    patient_id: str | None
    sex: Sex | None
    age: float | None
    acquired_at: datetime | None
    device: str | None


def recognises(content: bytes) -> bool:
    """Return True if the bytes start with version 0 and a header size of whole blocks, as numbers."""
    size = content[184:192].strip(b" ")
    return content.startswith(b"0       ") and size.isdigit() and int(size) % _BLOCK == 0


def decode(content: bytes, limits: Limits) -> Recording:
    """Decode the ECG channels that are named as leads, in millivolts. Other channels are ignored.

    Raises UnusableEcgError if the header is broken, the recording has gaps (EDF+D), samples are missing, or
    the leads differ in rate. Raises PatientIdError for an invalid patient number.
    """
    _check_header(content, limits)
    about = _about(content)
    signals = _signals(content)
    leads = find_leads([lead_of_name(signal.label) for signal in signals])
    stored = [signals[index] for index in leads.values()]
    rates = {signal.sampling_frequency for signal in stored}
    if len(rates) > 1:
        raise refuse(Reason.UNSUPPORTED_FORMAT, "the leads of the EDF file differ in sampling rate")
    check_rate(rate := rates.pop())
    signal = np.stack([_millivolts(signal, lead) for lead, signal in zip(leads, stored, strict=True)])
    return Recording(
        complete(list(leads), signal),
        rate,
        **about._asdict(),
        filters=_filters(stored[0].prefiltering),
        format=NAME,
    )


def _check_header(content: bytes, limits: Limits) -> None:
    """Check all numbers that decide on memory, before a library sees the file."""
    count, records = _whole(content, 252, 4, "signals"), _whole(content, 236, 8, "data records")
    check_size(count, 1, limits)
    size = _BLOCK * (count + 1)
    if _whole(content, 184, 8, "header bytes") != size:
        raise refuse(
            Reason.BROKEN_HEADER, f"the EDF header declares another size than its {count} signals have"
        )
    if len(content) < size:
        raise refuse(Reason.TRUNCATED, "the EDF file ends within its header", value=len(content))
    start = _BLOCK + _BEFORE_SAMPLES * count
    in_record = sum(_whole(content, start + 8 * at, 8, "samples") for at in range(count))
    check_size(1, in_record * records, limits)
    there = (len(content) - size) // (2 * in_record)
    if there < records:
        raise refuse(Reason.TRUNCATED, f"the EDF file holds {there} of {records} records", value=there)
    if not content[244:252].strip(b" 0."):
        raise refuse(Reason.BROKEN_HEADER, "the records of the EDF file last no time")
    if content[192:197] == b"EDF+D":
        raise refuse(Reason.UNSUPPORTED_FORMAT, "an EDF+ recording with gaps (EDF+D)")


def _whole(content: bytes, start: int, size: int, what: str) -> int:
    """Return a whole number from the header. Records of -1, for a recording in progress, are none."""
    field = content[start : start + size].strip(b" ")
    if not field.isdigit():
        raise refuse(Reason.BROKEN_HEADER, f"the EDF header does not give its number of {what}")
    return int(field)


def _signals(content: bytes) -> tuple[EdfSignal, ...]:
    import edfio  # noqa: PLC0415 -- takes a fifth of a second

    try:
        edf = edfio.read_edf(content, lazy_load_data=False, header_encoding="latin-1")
        return edf.signals
    except ValueError:
        raise refuse(Reason.BROKEN_HEADER, "the EDF header has an invalid field") from None


def _millivolts(signal: EdfSignal, lead: str) -> NDArray[np.float32]:
    """Scale one lead (n,) from its digital to its physical range."""
    try:
        low, high = signal.physical_min, signal.physical_max
        steps = signal.digital_max - signal.digital_min
    except ValueError:  # edfio parses a field on access
        raise refuse(Reason.UNKNOWN_UNIT, f"lead {lead} has an invalid range", lead) from None
    if steps <= 0 or low == high or not np.isfinite([low, high]).all():
        raise refuse(Reason.UNKNOWN_UNIT, f"lead {lead} has an empty or infinite range", lead)
    gain = (high - low) / steps
    unit = millivolts(signal.physical_dimension, lead)
    digital = signal.digital.astype(np.float64)
    return np.float32(unit) * ((digital - signal.digital_min) * gain + low).astype(np.float32)


def _about(content: bytes) -> _About:
    """Read patient and recording: subfields in EDF+, free text in EDF (EDF+ 2.1.3.3 and 2.1.3.4).

    Some writers use the subfields, which are known by the word Startdate, without the mark of EDF+.
    """
    patient, recording = content[8:88], content[88:168].decode("latin-1").split()
    moment = _moment(content[168:184].decode("latin-1"))
    is_plus = content[192:196] == b"EDF+" or recording[:1] == ["Startdate"]
    if not is_plus:
        return _About(_number(patient, plus=False), None, None, moment, " ".join(recording) or None)
    fields = [*patient.decode("latin-1").split(), *[_UNKNOWN] * 3]
    dates = [*recording, *[_UNKNOWN] * 4]
    born, started = _day(fields[2]), _day(dates[1])
    moment = datetime.combine(started, moment.time()) if started and moment else None
    return _About(
        _number(patient, plus=True),
        _SEXES.get(fields[1]),
        (moment - born).days / _DAYS_A_YEAR if moment and born else None,
        moment,
        None if dates[4] == _UNKNOWN else dates[4].replace("_", " "),
    )


def _number(field: bytes, *, plus: bool) -> str | None:
    """Return the patient number: the first subfield of EDF+. In EDF the whole field, if it is one word."""
    if not field.isascii():
        raise PatientIdError("the patient field of the EDF file is not ASCII")
    words = field.decode("ascii").split()
    if len(words) > 1 and not plus:
        raise PatientIdError("the patient field of the EDF file holds more than a number")
    return None if not words or words[0] == _UNKNOWN else patient_id(words[0])


def _day(text: str) -> datetime | None:
    match = _DATE.fullmatch(text.upper())
    if match is None or match[2] not in _MONTHS:
        return None
    try:
        return datetime(int(match[3]), _MONTHS.index(match[2]) + 1, int(match[1]))
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    """Return start date and time. Years of two digits are 1985 to 2084."""
    match = _SHORT_DATE.fullmatch(text)
    if match is None:
        return None
    day, month, year, hour, minute, second = map(int, match.groups())
    try:
        return datetime(year + (1900 if year >= _FIRST_YEAR else 2000), month, day, hour, minute, second)
    except ValueError:
        return None


def _filters(prefiltering: str) -> str | None:
    """Describe the filters that the signal's header names, such as ``HP:0.05Hz LP:150Hz N:50Hz``."""
    found = {name.upper(): float(cut_off) for name, cut_off in _FILTER.findall(prefiltering)}
    return filters(found.get("HP"), found.get("LP"), found.get("N"))
