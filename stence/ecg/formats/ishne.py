"""ISHNE Holter files (Badilini, Ann Noninvasive Electrocardiol 1998;3:263-266), version 1.0."""

from __future__ import annotations

import struct
from binascii import crc_hqx
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from stence.domain.patients import PatientIdError, patient_id
from stence.ecg.formats.limits import Limits, check_rate, check_size
from stence.ecg.leads import complete, find_leads
from stence.ecg.reasons import Reason, refuse
from stence.ecg.recording import LEADS, Recording, Sex

NAME = "ISHNE"
_MAGIC = b"ISHNE1.0"
_HEADER_BYTES = 522
_CHECKED_FROM = 10
"""The checksum covers all that follows it, up to the samples."""
_MAX_LEADS = 12
_LEAD_OF_CODE = dict(enumerate(LEADS, start=5))
_LEAD_FAULT = -32768
_NANOVOLTS = 1e-6
_SEXES: dict[int, Sex] = {1: "M", 2: "F"}
_DAYS_A_YEAR = 365.25


def recognises(content: bytes) -> bool:
    """Return True if the bytes start with the magic number of an ISHNE signal file."""
    return content.startswith(_MAGIC)


def decode(content: bytes, limits: Limits) -> Recording:
    """Decode the twelve leads, in millivolts. A sample that marks a lead fault becomes NaN.

    Raises UnusableEcgError for a wrong checksum, missing samples, leads or scales, and PatientIdError for an
    invalid patient number.
    """
    if len(content) < _HEADER_BYTES:
        raise refuse(Reason.TRUNCATED, "the ISHNE file ends within its header", value=len(content))
    start = _samples_start(content)
    (rate,) = struct.unpack_from("<h", content, 272)
    check_rate(rate)
    (count,) = struct.unpack_from("<h", content, 156)
    if not 1 <= count <= _MAX_LEADS:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, f"{count} leads in an ISHNE file, not 1 to 12", value=count)
    leads = find_leads([_LEAD_OF_CODE.get(code) for code in _numbers(content, 158, count)])
    samples = _samples(content, start, count, limits)
    resolutions = _numbers(content, 206, count)
    signal = np.stack([_millivolts(samples[:, at], resolutions[at], lead) for lead, at in leads.items()])
    recorded, born = _moment(content, 138, 150), _moment(content, 132)
    return Recording(
        complete(list(leads), signal),
        rate,
        patient_id=_patient(content),
        acquired_at=recorded,
        device=_text(content, 232, 40).decode("latin-1"),
        sex=_SEXES.get(_numbers(content, 128, 1)[0]),
        age=(recorded - born).days / _DAYS_A_YEAR if recorded and born else None,
        format=NAME,
    )


def _samples_start(content: bytes) -> int:
    """Return where the samples start, after a checksum by CRC-CCITT. Zero stands for no checksum.

    The standard leaves the byte order of the checksum open; recorders write both.
    """
    stored, variable = struct.unpack_from("<Hi", content, 8)
    (start,) = struct.unpack_from("<i", content, 22)
    if variable < 0 or start != _HEADER_BYTES + variable:
        raise refuse(Reason.BROKEN_HEADER, "the ISHNE header contradicts itself on where the samples start")
    if start > len(content):
        raise refuse(Reason.TRUNCATED, "the ISHNE file ends before its samples", value=len(content))
    checksum = crc_hqx(content[_CHECKED_FROM:start], 0xFFFF)
    if stored not in (0, checksum, int.from_bytes(checksum.to_bytes(2, "big"), "little")):
        raise refuse(Reason.CHECKSUM_MISMATCH, "the checksum of the ISHNE header is wrong")
    return start


def _samples(content: bytes, start: int, leads: int, limits: Limits) -> NDArray[np.int16]:
    """Return the stored samples (n, leads). Recorders declare their number per lead, or over all leads."""
    (declared,) = struct.unpack_from("<i", content, 14)
    there = (len(content) - start) // (2 * leads)
    count = there if declared == there * leads else declared
    check_size(leads, count, limits)
    if there < count:
        raise refuse(Reason.TRUNCATED, f"the file holds {there} of {count} samples", value=there)
    return np.frombuffer(content, "<i2", count * leads, start).reshape(count, leads)


def _millivolts(samples: NDArray[np.int16], resolution: int, lead: str) -> NDArray[np.float32]:
    """Scale one lead (n,), whose resolution is in nanovolts."""
    if resolution <= 0:
        raise refuse(
            Reason.UNKNOWN_UNIT, f"lead {lead} has a resolution of {resolution} nV", lead, resolution
        )
    scaled = samples.astype(np.float32) * np.float32(resolution * _NANOVOLTS)
    scaled[samples == _LEAD_FAULT] = np.nan
    return scaled


def _patient(content: bytes) -> str | None:
    """Return the patient number. The standard names no character set, so it must be ASCII."""
    raw = _text(content, 108, 20)
    if not raw.isascii():
        raise PatientIdError("the patient number is not ASCII, and an ISHNE file names no character set")
    return patient_id(raw.decode("ascii"))


def _moment(content: bytes, date: int, time: int | None = None) -> datetime | None:
    """Return a date (day, month, year) with its time; None if there is no such date."""
    day, month, year = _numbers(content, date, 3)
    hour, minute, second = _numbers(content, time, 3) if time else (0, 0, 0)
    try:
        return datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None


def _numbers(content: bytes, start: int, count: int) -> Sequence[int]:
    return struct.unpack_from(f"<{count}h", content, start)


def _text(content: bytes, start: int, size: int) -> bytes:
    return content[start : start + size].partition(b"\0")[0]
