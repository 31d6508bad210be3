"""Parser of WFDB headers (``.hea``), by the WFDB Applications Guide, header(5)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from stence.domain.patients import PatientIdError, patient_id
from stence.domain.text import plain_text
from stence.ecg.formats.limits import Limits, check_rate, check_size
from stence.ecg.reasons import Reason, refuse
from stence.ecg.recording import Sex

MAX_HEADER_BYTES = 2**20
MAX_LINES = 10_000
MAX_LINE_CHARACTERS = 1000
"""Longest line. A longer signal line is refused, a longer comment is cut before any regular expression."""
MAX_SEGMENTS = 256
NO_FILE = "~"
"""Name of a segment without samples, and of the signal file in the layout of a record of several segments."""
_DEFAULT_RATE = 250.0

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_RATE = re.compile(rf"({_NUMBER})(?:/.*)?")
_LAYOUT = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?")
_GAIN = re.compile(rf"({_NUMBER})(?:\((-?\d+)\))?(?:/(\S+))?")
_FILE_NAME = re.compile(r"[\w-][\w.-]{0,254}")

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,6})\d*)?")
_DATE = re.compile(r"(\d{1,2})[/-](\d{1,2}|[A-Za-z]{3})[/-](\d{4})")
_COMMENT = re.compile(r"#\s*<?(age|sex)>?(?:\s*:\s*|\s+)(\S+)", re.IGNORECASE)
_PATIENT = re.compile(r"#\s*<?(subject_id|mrn)>?(?:\s*:\s*(.*)|\s+(\S+))", re.IGNORECASE)
_REMARK = re.compile(r"#\s*<?(device|site|indication)>?\s*:\s*(.+)", re.IGNORECASE)


class Channel(NamedTuple):
    """A signal line: place of its samples, and their scale ``(sample - baseline) / gain`` in ``unit``."""

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


class Segment(NamedTuple):
    """A line of a record of several segments: its record, or NO_FILE, and its samples of each channel."""

    record: str
    samples: int

    @property
    def header(self) -> str:
        """Name of the segment's header."""
        return f"{self.record}.hea"


class About(NamedTuple):
    """Patient and recording as given in the comments. Recording checks the plausibility."""

    patient_id: str | None
    sex: Sex | None
    age: float | None
    device: str | None
    site: str | None
    indication: str | None


@dataclass(frozen=True, slots=True)
class Header:
    """Header of a record. ``samples`` is per channel; None if only the file size gives it.

    A record has ``channels`` or ``segments``. The channels of a layout have NO_FILE, as they have no samples.
    """

    sampling_rate: float
    samples: int | None
    acquired_at: datetime | None
    channels: tuple[Channel, ...]
    about: About
    segments: tuple[Segment, ...] = ()

    @property
    def is_layout(self) -> bool:
        """True if the header only names the channels of a record of several segments."""
        return any(channel.file_name == NO_FILE for channel in self.channels)


@lru_cache(maxsize=32)  # a header is parsed several times while its record is fetched
def parse(content: bytes, limits: Limits) -> Header:
    """Parse a header. Raises UnusableEcgError if it is broken or too large."""
    if len(content) > MAX_HEADER_BYTES:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, f"header of {len(content)} bytes", value=len(content))
    text, is_utf8 = _text(content)
    lines = _lines(text)
    fields = [line for line in lines if line and not line.startswith("#")]
    if not fields:
        raise refuse(Reason.BROKEN_HEADER, "the WFDB header has no record line")
    if max(map(len, fields)) > MAX_LINE_CHARACTERS:
        detail = f"a line of the WFDB header has over {MAX_LINE_CHARACTERS} characters"
        raise refuse(Reason.BROKEN_HEADER, detail)
    about = _comments([line for line in lines if line.startswith("#")], is_utf8=is_utf8)
    try:
        segments, count, rate, samples, moment = _record_line(fields[0], limits)
        described = fields[1 : (segments or count) + 1]
        if len(described) < (segments or count):
            raise refuse(
                Reason.BROKEN_HEADER,
                f"the WFDB header declares {segments or count} {'segments' if segments else 'signals'}, "
                f"but describes {len(described)}",
            )
        if segments:
            return Header(rate, samples, moment, (), about, tuple(map(_segment, described)))
        return Header(rate, samples, moment, tuple(map(_channel, described)), about)
    except (ValueError, OverflowError) as error:
        raise refuse(Reason.BROKEN_HEADER, "the WFDB header has an invalid number") from error


def _text(content: bytes) -> tuple[str, bool]:
    """Return the text, and True if it is UTF-8. Other bytes are decoded as Latin-1, which never fails."""
    try:
        return content.decode("utf-8-sig"), True
    except UnicodeDecodeError:
        return content.decode("latin-1"), False


def _lines(text: str) -> list[str]:
    """Split into lines at LF, CR or both only. Other separators could cut a patient number."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(lines) > MAX_LINES:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, f"header of {len(lines)} lines", value=len(lines))
    return [line[: MAX_LINE_CHARACTERS + 1].strip(" \t\v\f") for line in lines]


def _record_line(line: str, limits: Limits) -> tuple[int, int, float, int | None, datetime | None]:
    """Parse numbers of segments (0: not of several) and signals, sampling rate, samples and base time.

    The record's name is ignored.
    """
    name, *rest = line.split()
    _, slash, several = name.partition("/")
    segments = int(several) if slash else 0
    if slash and not 1 <= segments <= MAX_SEGMENTS:
        detail = f"a WFDB record of {segments} segments, not 1 to {MAX_SEGMENTS}"
        raise refuse(Reason.IMPLAUSIBLE_SIZE, detail, value=segments)
    if not rest:
        raise refuse(Reason.BROKEN_HEADER, "the WFDB record line does not say how many signals there are")
    rate = _RATE.fullmatch(rest[1]) if len(rest) > 1 else None
    if len(rest) > 1 and rate is None:
        raise refuse(Reason.BROKEN_HEADER, "the WFDB record line has no readable sampling rate")
    sampling_rate = float(rate[1]) if rate else _DEFAULT_RATE
    check_rate(sampling_rate)
    count, samples = int(rest[0]), int(rest[2]) if len(rest) > 2 else 0
    check_size(count, samples or 1, limits)
    return segments, count, sampling_rate, samples or None, _moment(" ".join(rest[3:]))


def _moment(text: str) -> datetime | None:
    """Parse ``HH:MM:SS DD/MM/YYYY``, or the order and month names of CinC 2021; None if incomplete."""
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


def _segment(line: str) -> Segment:
    """Parse a segment line: a record's name, and the number of its samples of each channel."""
    record, samples = [*line.split(), ""][:2]
    if record != NO_FILE and not _FILE_NAME.fullmatch(f"{record}.hea"):
        raise refuse(Reason.BROKEN_HEADER, "the WFDB header has an invalid segment name")
    if int(samples) < 0:
        raise refuse(Reason.BROKEN_HEADER, "the WFDB header has a segment of negative length")
    return Segment(record, int(samples))


def _channel(line: str) -> Channel:
    """Parse a signal line. Missing fields at its end get the defaults of the guide."""
    fields = line.split(None, 8)
    file_name, layout, gain, _, adc_zero, initial, checksum, _, name = fields + [""] * (9 - len(fields))
    if file_name != NO_FILE and not _FILE_NAME.fullmatch(file_name):
        raise refuse(Reason.BROKEN_HEADER, "the WFDB header has an invalid signal file name")
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
    """Parse format, samples per frame, skew and byte offset: ``FORMAT[xSAMPLES][:SKEW][+OFFSET]``."""
    match = _LAYOUT.fullmatch(field)
    if match is None or match[2] == "0":
        raise refuse(Reason.BROKEN_HEADER, f"the WFDB header has the signal format {field[:16]!r}")
    return match[1], int(match[2] or 1), int(match[3] or 0), int(match[4] or 0)


@lru_cache
def _gain(field: str) -> tuple[float, int | None, str]:
    """Parse gain (0: the signal is uncalibrated), baseline and unit: ``GAIN[(BASELINE)][/UNIT]``."""
    match = _GAIN.fullmatch(field or "0")
    if match is None or not math.isfinite(float(match[1])):
        raise refuse(Reason.BROKEN_HEADER, f"the WFDB header has the gain {field[:16]!r}")
    return float(match[1]), int(match[2]) if match[2] else None, match[3] or "mV"


def _comments(lines: list[str], *, is_utf8: bool) -> About:
    """Parse comments: ``#Age: 80``, ``#<sex>: F``, ``# age 40``, ``# <subject_id>: ...``, ``# Site: A``."""
    found: dict[str, str] = {}
    for pattern in (_COMMENT, _REMARK):
        for match in filter(None, map(pattern.match, lines)):
            found.setdefault(match[1].lower(), match[2])
    remarks = (plain_text(found.get(name, "")) for name in ("device", "site", "indication"))
    return About(_patient(lines, is_utf8=is_utf8), _sex(found), _age(found), *remarks)


def _patient(lines: list[str], *, is_utf8: bool) -> str | None:
    """Return the patient number: ``subject_id``, else ``mrn``.

    The number is all text after a colon; without a colon it is a single word. Raises UnusableEcgError if the
    number cannot be read with certainty, or if lines of the same name differ.
    """
    found: dict[str, set[str | None]] = {"subject_id": set(), "mrn": set()}
    for match in filter(None, map(_PATIENT.fullmatch, lines)):
        found[match[1].lower()].add(_number(match[2] or match[3] or "", is_utf8=is_utf8))
    for numbers in found.values():
        named = numbers - {None}
        if len(named) > 1:
            raise refuse(Reason.UNREADABLE_PATIENT, "the WFDB header names several patients")
        if named:
            return named.pop()
    return None


def _number(written: str, *, is_utf8: bool) -> str | None:
    if not is_utf8 and not written.isascii():
        raise refuse(Reason.UNREADABLE_PATIENT, "the WFDB header's patient number is not in UTF-8")
    try:
        return patient_id(written)
    except PatientIdError as error:
        raise refuse(Reason.UNREADABLE_PATIENT, str(error)) from None


def _sex(found: Mapping[str, str]) -> Sex | None:
    words: dict[str, Sex] = {"f": "F", "female": "F", "m": "M", "male": "M"}
    return words.get(found.get("sex", "").lower())


def _age(found: Mapping[str, str]) -> float | None:
    try:
        return float(found.get("age", ""))
    except ValueError:
        return None
