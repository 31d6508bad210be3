"""Measurements and statements of SCP-ECG: sections 7, 8 and 11 (EN 1064, 5.10, 5.11 and 5.14).

They are extras: where such a section is shorter than it says, its rest is missing, and the ECG is still read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from stence.ecg.formats.scp.particulars import MAX_TEXT_BYTES, text
from stence.ecg.formats.scp.sections import Section

_COUNTS = struct.Struct("<BBHH")
_WAVES = struct.Struct("<5H3h")
_SPIKE_BYTES = 10
_RATES = struct.Struct("<3H")
_STATEMENTS_AT = 9
_WITH_TEXT = (b"\1", b"\2")
"""Types of statements in section 11 that are codes or free text. Others are logic between statements."""


def measurements(sections: Mapping[int, Section]) -> Mapping[str, float]:
    """Return the global measurements of section 7 by the names of ``stence.ecg.machine``.

    29999 stands for a time that is not known, 999 for such an axis. ``stence.ecg.machine`` takes neither, nor
    a difference with one; 999 ms are a good time.
    """
    body = sections[7].body if 7 in sections else b""
    if len(body) < _COUNTS.size:
        return {}
    waves, spikes, rr, _ = _COUNTS.unpack_from(body)
    after = _COUNTS.size + waves * _WAVES.size + spikes * _SPIKE_BYTES
    intervals = _intervals(body[_COUNTS.size :]) if waves else {}
    return {"rr_ms": rr} | _rates(body[after:]) | intervals


def _intervals(body: bytes) -> dict[str, float]:
    """Return durations and axes from the first block, which is for the reference beat of type 0."""
    if len(body) < _WAVES.size:
        return {}
    p_on, p_off, qrs_on, qrs_off, t_off, p_axis, qrs_axis, t_axis = _WAVES.unpack_from(body)
    return {
        "p_ms": p_off - p_on,
        "pr_ms": qrs_on - p_on,
        "qrs_ms": qrs_off - qrs_on,
        "qt_ms": t_off - qrs_on,
        "p_axis": p_axis,
        "qrs_axis": qrs_axis,
        "t_axis": t_axis,
    }


def _rates(body: bytes) -> dict[str, float]:
    """Return heart rate and corrected QT, which follow the types of all beats."""
    start = 2 + int.from_bytes(body[:2], "little")
    if len(body) < start + _RATES.size:
        return {}
    ventricular, _, qtc = _RATES.unpack_from(body, start)
    return {"heart_rate": ventricular, "qtc_ms": qtc}


def statements(sections: Mapping[int, Section], encoding: str | None) -> tuple[str, ...]:
    """Return the texts of section 8, or else codes and texts of section 11."""
    if 8 in sections:
        return tuple(_line(value, encoding) for value in _items(sections[8].body))
    values = _items(sections[11].body) if 11 in sections else ()
    return tuple(_line(value[1:], encoding) for value in values if value[:1] in _WITH_TEXT)


def _items(body: bytes) -> Iterator[bytes]:
    """Yield the statements: each has a number, a length and its content."""
    at = _STATEMENTS_AT
    for _ in range(body[at - 1] if len(body) >= at else 0):
        start, size = at + 3, int.from_bytes(body[at + 1 : at + 3], "little")
        yield body[start : start + size]
        at = start + size


def _line(value: bytes, encoding: str | None) -> str:
    """Return a statement's parts, each of which ends with a NUL, in one line."""
    return " ".join(filter(None, (text(part, encoding) for part in value[:MAX_TEXT_BYTES].split(b"\0"))))
