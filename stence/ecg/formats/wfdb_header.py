"""The text of a WFDB header (``.hea``), after the WFDB Applications Guide, header(5)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from stence.domain.text import plain_text
from stence.ecg.formats.limits import check_rate, check_size
from stence.ecg.reasons import Reason, refuse
from stence.ecg.recording import Sex

MAX_HEADER_BYTES = 2**20
_DEFAULT_GAIN = 200.0
_DEFAULT_RATE = 250.0

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RATE = re.compile(rf"({_NUMBER})(?:/.*)?")
_LAYOUT = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?")
_GAIN = re.compile(rf"({_NUMBER})(?:\((-?\d+)\))?(?:/(\S+))?")
_FILE_NAME = re.compile(r"[\w-][\w.-]*")

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,6})\d*)?")
_DATE = re.compile(r"(\d{1,2})[/-](\d{1,2}|[A-Za-z]{3})[/-](\d{4})")
_COMMENT = re.compile(r"#\s*<?(subject_id|mrn|age|sex)>?(?:\s*:\s*|\s+)(\S+)", re.IGNORECASE)
_REMARK = re.compile(r"#\s*<?(device|site|indication)>?\s*:\s*(.+)", re.IGNORECASE)


class Channel(NamedTuple):
    """One signal line: where its samples lie, and ``(sample - baseline) / gain`` in ``unit``."""

    file_name: str
    format: str
    samples_per_frame: int
    skew: int
    byte_offset: int
    gain: float
    baseline: int
    unit: str
    initial: int
    checksum: int | None
    name: str


class About(NamedTuple):
    """What the comments say of the patient and the recording."""

    patient_id: str | None
    sex: Sex | None
    age: float | None
    device: str | None
    site: str | None
    indication: str | None


@dataclass(frozen=True, slots=True)
class Header:
    """A single-segment record; ``samples`` of each channel, or None if only the file's size tells."""

    sampling_rate: float
    samples: int | None
    acquired_at: datetime | None
    channels: tuple[Channel, ...]
    about: About


def parse(content: bytes) -> Header:
    """Read a header. Raises UnusableEcgError if it is broken, of several segments, or absurd in size."""
    if len(content) > MAX_HEADER_BYTES:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, f"header of {len(content)} bytes", value=len(content))
    lines = [line.strip() for line in _text(content).splitlines()]
    fields = [line for line in lines if line and not line.startswith("#")]
    if not fields:
        raise refuse(Reason.BROKEN_HEADER, "the WFDB header has no record line")
    about = _comments(lines)
    try:
        count, rate, samples, moment = _record_line(fields[0])
        if len(fields) - 1 < count:
            raise refuse(
                Reason.BROKEN_HEADER,
                f"the WFDB header announces {count} signals and describes {len(fields) - 1}",
            )
        channels = tuple(_channel(line) for line in fields[1 : count + 1])
    except (ValueError, OverflowError) as error:
        raise refuse(Reason.BROKEN_HEADER, "the WFDB header holds a number that is none") from error
    return Header(rate, samples, moment, channels, about)


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _record_line(line: str) -> tuple[int, float, int | None, datetime | None]:
    """Number of signals, sampling rate, samples, base time. The record's name decides nothing."""
    name, *rest = line.split()
    if "/" in name:
        raise refuse(Reason.UNSUPPORTED_FORMAT, "a WFDB record of several segments")
    if not rest:
        raise refuse(Reason.BROKEN_HEADER, "the WFDB record line does not say how many signals there are")
    rate = _RATE.fullmatch(rest[1]) if len(rest) > 1 else None
    if len(rest) > 1 and rate is None:
        raise refuse(Reason.BROKEN_HEADER, "the WFDB record line has no readable sampling rate")
    sampling_rate = float(rate[1]) if rate else _DEFAULT_RATE
    check_rate(sampling_rate)
    count, samples = int(rest[0]), int(rest[2]) if len(rest) > 2 else 0
    check_size(count, samples or 1)
    return count, sampling_rate, samples or None, _moment(" ".join(rest[3:]))


def _moment(text: str) -> datetime | None:
    """``HH:MM:SS DD/MM/YYYY``, or the order and month names that CinC 2021 writes; None if incomplete."""
    time, date = _TIME.search(text), _DATE.search(text)
    if not (time and date):
        return None
    hour, minute, second = (int(part) for part in time.groups()[:3])
    microsecond = int((time[4] or "0").ljust(6, "0"))
    try:
        month = int(date[2]) if date[2].isdigit() else _MONTHS.index(date[2].lower()) + 1
        return datetime(int(date[3]), month, int(date[1]), hour, minute, second, microsecond)
    except ValueError:
        return None


def _channel(line: str) -> Channel:
    """One signal line; what stands at its end may be left out, with the defaults of the guide."""
    fields = line.split(None, 8)
    file_name, layout, gain, _, adc_zero, initial, checksum, _, name = fields + [""] * (9 - len(fields))
    if not _FILE_NAME.fullmatch(file_name):
        raise refuse(Reason.BROKEN_HEADER, "the WFDB header names a signal file by no plain name")
    scale, baseline, unit = _gain(gain)
    return Channel(
        file_name,
        *_layout(layout),
        gain=scale,
        baseline=int(adc_zero or 0) if baseline is None else baseline,
        unit=unit,
        initial=int(initial or 0),
        checksum=int(checksum) if checksum else None,
        name=name,
    )


@lru_cache
def _layout(field: str) -> tuple[str, int, int, int]:
    """Format, samples a frame, skew, byte offset: ``FORMAT[xSAMPLES][:SKEW][+OFFSET]``."""
    match = _LAYOUT.fullmatch(field)
    if match is None or match[2] == "0":
        raise refuse(Reason.BROKEN_HEADER, f"the WFDB header has the signal format {field[:16]!r}")
    return match[1], int(match[2] or 1), int(match[3] or 0), int(match[4] or 0)


@lru_cache
def _gain(field: str) -> tuple[float, int | None, str]:
    """Gain (0 means the default), baseline, unit: ``GAIN[(BASELINE)][/UNIT]``."""
    match = _GAIN.fullmatch(field or "0")
    if match is None or not math.isfinite(float(match[1])):
        raise refuse(Reason.BROKEN_HEADER, f"the WFDB header has the gain {field[:16]!r}")
    return float(match[1]) or _DEFAULT_GAIN, int(match[2]) if match[2] else None, match[3] or "mV"


def _comments(lines: list[str]) -> About:
    """From ``#Age: 80``, ``#<sex>: F``, ``# age 40``, ``# <subject_id>: ...``, ``# Site: outpatients``."""
    found: dict[str, str] = {}
    for pattern in (_COMMENT, _REMARK):
        for match in filter(None, map(pattern.match, lines)):
            found.setdefault(match[1].lower(), match[2])
    remarks = (plain_text(found.get(name, "")) for name in ("device", "site", "indication"))
    return About(found.get("subject_id") or found.get("mrn"), _sex(found), _age(found), *remarks)


def _sex(found: Mapping[str, str]) -> Sex | None:
    words: dict[str, Sex] = {"f": "F", "female": "F", "m": "M", "male": "M"}
    return words.get(found.get("sex", "").lower())


def _age(found: Mapping[str, str]) -> float | None:
    try:
        age = float(found.get("age", ""))
    except ValueError:
        return None
    return age if 0 <= age <= 130 else None
