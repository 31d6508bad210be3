"""Measurements and statements of SCP-ECG: sections 7, 8 and 11 (EN 1064, 5.10, 5.11 and 5.14).

They are extras: where such a section is shorter than it says, its rest is missing, and the ECG is still read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from stence.ecg.formats.scp.particulars import MAX_TEXT_BYTES, text
from stence.ecg.formats.scp.sections import Section

_UNKNOWN = frozenset({29999, 999, 0xFFFF})
_COUNTS = struct.Struct("<BBHH")
_WAVES = struct.Struct("<5H3h")
_SPIKE_BYTES = 10
_RATES = struct.Struct("<3H")
_STATEMENTS_AT = 9
_WITH_TEXT = (b"\1", b"\2")
"""Types of statements in section 11 that are codes or free text. Others are logic between statements."""


def measurements(sections: Mapping[int, Section]) -> Mapping[str, float]:
    """Return the global measurements of section 7 by the names of ``stence.ecg.machine``."""
    body = sections[7].body if 7 in sections else b""
    if len(body) < _COUNTS.size:
        return {}
    waves, spikes, rr, _ = _COUNTS.unpack_from(body)
    after = _COUNTS.size + waves * _WAVES.size + spikes * _SPIKE_BYTES
    found = {"rr_ms": _known(rr)} | _rates(body[after:])
    found |= _intervals(body[_COUNTS.size :]) if waves else {}
    return {name: value for name, value in found.items() if value is not None}


def _intervals(body: bytes) -> dict[str, float | None]:
    """Return durations and axes from the first block, which is for the reference beat of type 0."""
    if len(body) < _WAVES.size:
        return {}
    *limits, p_axis, qrs_axis, t_axis = map(_known, _WAVES.unpack_from(body))
    p_on, p_off, qrs_on, qrs_off, t_off = limits
    return {
        "p_ms": _between(p_on, p_off),
        "pr_ms": _between(p_on, qrs_on),
        "qrs_ms": _between(qrs_on, qrs_off),
        "qt_ms": _between(qrs_on, t_off),
        "p_axis": p_axis,
        "qrs_axis": qrs_axis,
        "t_axis": t_axis,
    }


def _rates(body: bytes) -> dict[str, float | None]:
    """Return heart rate and corrected QT, which follow the types of all beats."""
    start = 2 + int.from_bytes(body[:2], "little")
    if len(body) < start + _RATES.size:
        return {}
    ventricular, _, qtc = _RATES.unpack_from(body, start)
    return {"heart_rate": _known(ventricular), "qtc_ms": _known(qtc)}


def _known(value: int) -> float | None:
    return None if value in _UNKNOWN else value


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start


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
