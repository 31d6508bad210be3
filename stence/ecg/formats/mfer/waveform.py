"""Waveform of MFER: sequences of blocks, one block a channel (ISO 22077-1, 5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.ecg.formats.limits import Limits, check_rate, check_size
from stence.ecg.formats.mfer.elements import Elements, Tag, Value
from stence.ecg.leads import find_leads, lead_of_code
from stence.ecg.reasons import Reason, refuse

_STANDARD_12_LEAD = 1
_TYPES = {0: "i2", 1: "u2", 2: "i4", 3: "u1", 5: "i1", 6: "u4", 7: "f4", 8: "f8"}
"""Data types that are read. 4 is a status, 9 is compressed."""
_HERTZ, _SECONDS, _VOLTS = 0, 1, 0
_ZERO = Value(b"\0", "big")


class Channel(NamedTuple):
    """Layout and scale of a channel; ``block`` in samples, ``rate`` in Hz, ``step`` in millivolts."""

    lead: str | None
    block: int
    dtype: np.dtype[np.number]
    rate: float
    step: float
    null: np.number | None

    @property
    def bytes(self) -> int:
        """Bytes of one block."""
        return self.block * self.dtype.itemsize


def read(elements: Elements, limits: Limits) -> tuple[list[str], NDArray[np.float32], float]:
    """Return the stored leads' names, their signal (k, n) in millivolts, and the sampling rate in Hz.

    Samples with the file's null value are NaN. Raises UnusableEcgError.
    """
    _check_kind(elements.root)
    count = elements.root.get(Tag.CHANNELS, Value(b"\1", "big")).number()
    check_size(count, 1, limits)
    channels = [_channel(elements.of_channel(number)) for number in range(count)]
    chosen = find_leads([channel.lead for channel in channels])
    layouts = {(channels[index].rate, channels[index].block) for index in chosen.values()}
    if len(layouts) > 1:
        raise refuse(Reason.UNSUPPORTED_FORMAT, "an MFER file with leads of different sampling rates")
    ((rate, block),) = layouts
    check_rate(rate)
    sequences = _sequences(elements.root, channels, limits)
    signal = np.empty((len(chosen), sequences.shape[0] * block), np.float32)
    starts = np.cumsum([0, *(channel.bytes for channel in channels)])
    for row, index in enumerate(chosen.values()):
        part = sequences[:, starts[index] : starts[index + 1]]
        signal[row] = _millivolts(part, channels[index])
    return list(chosen), signal, rate


def _check_kind(root: Mapping[int, Value]) -> None:
    kind = root.get(Tag.WAVEFORM_TYPE, _ZERO).number(0, 2)
    if kind != _STANDARD_12_LEAD:
        detail = f"an MFER waveform of type {kind}, not a standard 12-lead ECG (1)"
        raise refuse(Reason.UNSUPPORTED_FORMAT, detail, value=kind)
    if Tag.WAVEFORM not in root:
        raise refuse(Reason.TRUNCATED, "the MFER file ends before its waveform", value=0)


def _channel(values: Mapping[int, Value]) -> Channel:
    lead = lead_of_code(f"5.6.3-9-{values.get(Tag.LEAD, _ZERO).number(0, 2)}")
    _check_plain(values, lead)
    dtype = _dtype(values.get(Tag.DATA_TYPE, _ZERO), values.get(Tag.WAVEFORM, _ZERO))
    block = values.get(Tag.BLOCK, Value(b"\1", "big")).number()
    return Channel(lead, block, dtype, _rate(values), _step(values, lead), _null(values, dtype))


def _check_plain(values: Mapping[int, Value], lead: str | None) -> None:
    """Refuse the rules that change samples in a way of which no file is at hand."""
    for tag, rule in ((Tag.COMPRESSION, "compression"), (Tag.OFFSET, "an offset"), (Tag.SKEW, "a skew")):
        if any(values.get(tag, _ZERO).content):
            raise refuse(Reason.UNSUPPORTED_FORMAT, f"an MFER file with {rule}", lead)


def _dtype(code: Value, waveform: Value) -> np.dtype[np.number]:
    if code.number() not in _TYPES:
        detail = f"an MFER file with samples of type {code.number()}"
        raise refuse(Reason.UNSUPPORTED_FORMAT, detail, value=code.number())
    return np.dtype(_TYPES[code.number()]).newbyteorder("<" if waveform.order == "little" else ">")


def _scaled(value: Value) -> tuple[int, float]:
    """Return the unit's code, and mantissa times ten to the exponent."""
    exponent = value.number(1, 2, signed=True)
    return value.number(0, 1), float(value.number(2, 6, signed=True) * 10.0**exponent)


def _rate(values: Mapping[int, Value]) -> float:
    """Return the sampling rate in Hz, written as a frequency or an interval."""
    unit, number = _scaled(values.get(Tag.INTERVAL, Value(b"", "big")))
    if unit not in (_HERTZ, _SECONDS):
        raise refuse(Reason.UNSUPPORTED_FORMAT, "an MFER waveform that is not sampled in time")
    return number if unit == _HERTZ or not number else 1 / number


def _step(values: Mapping[int, Value], lead: str | None) -> float:
    """Return one step in millivolts."""
    unit, volts = _scaled(values.get(Tag.RESOLUTION, Value(b"", "big")))
    if lead and (unit != _VOLTS or volts <= 0):
        raise refuse(Reason.UNKNOWN_UNIT, f"lead {lead} has no resolution in volts", lead)
    return volts * 1000


def _null(values: Mapping[int, Value], dtype: np.dtype[np.number]) -> np.number | None:
    content = values[Tag.NULL].content if Tag.NULL in values else b""
    return np.frombuffer(content, dtype)[0] if len(content) == dtype.itemsize else None


def _sequences(root: Mapping[int, Value], channels: list[Channel], limits: Limits) -> NDArray[np.uint8]:
    """Return the waveform's bytes (sequences, bytes of all channels' blocks)."""
    content, size = root[Tag.WAVEFORM].content, sum(channel.bytes for channel in channels)
    count = root[Tag.SEQUENCES].number() if Tag.SEQUENCES in root else len(content) // max(size, 1)
    check_size(1, count * sum(channel.block for channel in channels), limits)
    if len(content) < count * size:
        detail = f"the MFER waveform has {len(content)} of {count * size} bytes"
        raise refuse(Reason.TRUNCATED, detail, value=len(content))
    if len(content) > count * size:
        raise refuse(Reason.BROKEN_HEADER, f"the MFER waveform has {len(content) - count * size} bytes more")
    return np.frombuffer(content, np.uint8).reshape(count, size)


def _millivolts(part: NDArray[np.uint8], channel: Channel) -> NDArray[np.float32]:
    steps = np.ascontiguousarray(part).view(channel.dtype).ravel()
    signal = (steps * channel.step).astype(np.float32)
    if channel.null is not None:
        signal[steps == channel.null] = np.nan
    return signal
