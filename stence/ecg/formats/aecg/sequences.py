"""Sequence sets of an aECG: a time axis and simultaneous leads (implementation guide of 2005, section 3)."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from stence.ecg.compiled import compiled_exactly
from stence.ecg.formats.calibration import without_pulse
from stence.ecg.formats.limits import Limits, check_rate, check_size, millivolts
from stence.ecg.formats.xml_document import attribute, number, text
from stence.ecg.leads import complete, find_leads, lead_of_name
from stence.ecg.reasons import Reason, refuse

MAX_SETS = 64
_SECONDS = {"s": 1.0, "ms": 1e3, "us": 1e6}
"""Units of time, as parts of a second."""
_BEAT = "REPRESENTATIVE_BEAT"
_INVALID = -1
_LARGEST = 2**31
_SPACE = 32


def rhythm(root: Element) -> tuple[Element, list[Element]]:
    """Return the series to read and the sequences of its set with the most leads, then the longest.

    A representative beat is none, whether it stands as a series or is derived from one. Raises
    UnusableEcgError if there is no other series.
    """
    series = [
        found for found in root.iterfind("component/series") if attribute(found, "code", "code") != _BEAT
    ]
    sets = [(found, each) for found in series for each in found.iterfind("component/sequenceSet")]
    if len(sets) > MAX_SETS:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, f"{len(sets)} sequence sets in one file", value=len(sets))
    choices = [(found, each.findall("component/sequence")) for found, each in sets]
    if not choices:
        raise refuse(Reason.MISSING_LEADS, "the aECG holds no rhythm series", value=0)
    return max(choices, key=lambda choice: _preference(choice[1]))


def rate(sequences: list[Element]) -> float:
    """Return the sampling rate in Hz, from the increment of the time axis."""
    increment = next(
        (found for each in sequences if (found := each.find("value/increment")) is not None), None
    )
    step = None if increment is None else number(increment.get("value", ""))
    unit = "" if increment is None else increment.get("unit", "")
    if not step or unit not in _SECONDS:
        raise refuse(Reason.BROKEN_HEADER, "the aECG's time axis has no increment in seconds")
    sampling_rate = _SECONDS[unit] / step
    check_rate(sampling_rate)
    return sampling_rate


def signal(sequences: list[Element], limits: Limits) -> NDArray[np.float32]:
    """Return the twelve leads (12, n) in millivolts."""
    channels = [each for each in sequences if each.find("value/digits") is not None]
    leads = find_leads([_lead(channel) for channel in channels])
    digits = {lead: _characters(channels[index], lead) for lead, index in leads.items()}
    count = _count(digits["V1"])
    check_size(len(channels), count, limits)
    stored = np.empty((len(leads), count), dtype=np.float32)
    for row, (lead, index) in enumerate(leads.items()):
        _fill(stored[row], digits[lead], _scale(channels[index], lead), lead)
    return complete(list(leads), without_pulse(stored))


def _preference(sequences: list[Element]) -> tuple[int, int]:
    leads = {_lead(sequence) for sequence in sequences} - {None}
    return len(leads), sum(len(each.findtext("value/digits") or "") for each in sequences)


def _lead(sequence: Element) -> str | None:
    return lead_of_name(attribute(sequence, "code", "code"))


def _scale(channel: Element, lead: str) -> tuple[float, float]:
    """Return the value of 0 and of a step, in millivolts."""
    origin, step = (_voltage(channel, name, lead) for name in ("origin", "scale"))
    if step == 0:
        raise refuse(Reason.UNKNOWN_UNIT, f"lead {lead} has a scale of 0", lead)
    return origin, step


def _voltage(channel: Element, name: str, lead: str) -> float:
    value = number(attribute(channel, f"value/{name}", "value"))
    if value is None:
        raise refuse(Reason.UNKNOWN_UNIT, f"lead {lead} has no {name} as a voltage", lead)
    return value * millivolts(attribute(channel, f"value/{name}", "unit"), lead)


def _characters(channel: Element, lead: str) -> NDArray[np.uint8]:
    """Return the digits and a space as ASCII codes."""
    written = text(channel, "value/digits")
    if not written.isascii():
        raise refuse(Reason.BROKEN_SIGNAL, f"lead {lead} has other characters than digits", lead)
    return np.frombuffer(f"{written} ".encode(), np.uint8)


def _fill(
    samples: NDArray[np.float32], characters: NDArray[np.uint8], scale: tuple[float, float], lead: str
) -> None:
    """Fill ``samples`` of a lead with its scaled integers."""
    there = _parse(characters, *scale, samples)
    if there == _INVALID:
        raise refuse(Reason.BROKEN_SIGNAL, f"lead {lead} has samples that are no integers", lead)
    if there != len(samples):
        detail = f"lead {lead} holds {there} samples, and V1 {len(samples)}"
        raise refuse(Reason.TRUNCATED, detail, lead, there)


@compiled_exactly
def _count(characters: NDArray[np.uint8]) -> int:
    """Return the number of words."""
    words = 0
    inside = False
    for character in characters:
        words += character > _SPACE and not inside
        inside = character > _SPACE
    return words


@compiled_exactly
def _parse(characters: NDArray[np.uint8], origin: float, step: float, samples: NDArray[np.float32]) -> int:
    """Fill ``samples`` with the scaled integers of the text. Return how many there are, -1 if a word is none.

    The text must end with a space.
    """
    found, value = 0, 0
    signed, negative, has_digits = False, False, False
    for character in characters:
        if 48 <= character <= 57:
            value = 10 * value + character - 48
            has_digits = True
            if value >= _LARGEST:
                return _INVALID
        elif character <= _SPACE:
            if has_digits:
                if found < len(samples):
                    samples[found] = (-value if negative else value) * step + origin
                found += 1
            elif signed:
                return _INVALID
            value, signed, negative, has_digits = 0, False, False, False
        elif character in (43, 45) and not signed and not has_digits:
            signed, negative = True, character == 45
        else:
            return _INVALID
    return found
