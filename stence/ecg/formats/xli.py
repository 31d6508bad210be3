"""XLI compression of Philips ECGs: LZW with 10-bit codes, then second differences of 16-bit samples.

Each lead is a chunk: 4 bytes compressed size, 2 bytes of no meaning here, 2 bytes start value, and LZW codes.
The codes give all high bytes of the lead, then all low bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stence.ecg.compiled import compiled_exactly
from stence.ecg.reasons import Reason, refuse

_HEADER = np.dtype([("size", "<u4"), ("unused", "<u2"), ("start", "<i2")])
_CODE_BITS = 10
_END = 2**_CODE_BITS - 1
"""Highest code, which no string has."""
_OFFSET = 64
"""Value that is added to each stored second difference."""
_BYTES = 256
_BROKEN = -1


def decompress(data: bytes, leads: int, samples: int) -> NDArray[np.int16]:
    """Return the samples (leads, samples) as they were before compression, modulo 2**16.

    Raises UnusableEcgError if the data end too early, or if a lead has another number of samples.
    """
    signal = np.empty((leads, samples), dtype=np.int16)
    at = 0
    for index in range(leads):
        header, codes = _chunk(data, at)
        at += _HEADER.itemsize + len(codes)
        signal[index] = _second_sums(_expanded(codes, samples), int(header["start"]))
    return signal


def _chunk(data: bytes, at: int) -> tuple[np.void, NDArray[np.uint8]]:
    if at + _HEADER.itemsize > len(data):
        raise refuse(Reason.TRUNCATED, "the compressed waveform ends before its last lead", value=at)
    header = np.frombuffer(data, _HEADER, 1, at)[0]
    begin, size = at + _HEADER.itemsize, int(header["size"])
    if begin + size > len(data):
        raise refuse(Reason.TRUNCATED, f"the compressed waveform lacks bytes of a lead of {size}", value=size)
    return header, np.frombuffer(data, np.uint8, size, begin)


def _expanded(codes: NDArray[np.uint8], samples: int) -> NDArray[np.int16]:
    """Return the stored values (samples,) of a lead."""
    out = np.empty(2 * samples, dtype=np.uint8)
    length = _lzw(codes, out)
    if length == _BROKEN:
        raise refuse(Reason.BROKEN_SIGNAL, "the compressed waveform has invalid codes, or too many samples")
    if length < len(out):
        raise refuse(Reason.TRUNCATED, f"a lead holds {length // 2} of {samples} samples", value=length // 2)
    high, low = out[:samples].astype(np.uint16), out[samples:]
    return (high << 8 | low).view(np.int16)


@compiled_exactly
def _lzw(data: NDArray[np.uint8], out: NDArray[np.uint8]) -> int:
    """Expand codes into ``out``. Return the number of bytes, or -1 on invalid codes or too many bytes."""
    begins = np.zeros(_END + 1, np.int64)  # a string of the table lies in ``out`` where it first arose
    lengths = np.zeros(_END + 1, np.int64)
    known, written, before, width = _BYTES, 0, 0, 0
    for number in range(len(data) * 8 // _CODE_BITS):
        bit = number * _CODE_BITS
        pair = np.int64(data[bit >> 3]) << 8 | np.int64(data[(bit >> 3) + 1])
        code = pair >> (16 - _CODE_BITS - (bit & 7)) & _END
        if code == _END:
            break
        if number > 0 and known < _END:  # the string before, and the first byte of this one
            begins[known], lengths[known] = before, width + 1
            known += 1
        if code >= known:
            return _BROKEN
        length = 1 if code < _BYTES else lengths[code]
        if written + length > len(out):
            return _BROKEN
        if code < _BYTES:
            out[written] = code
        else:
            for i in range(length):
                out[written + i] = out[begins[code] + i]
        before, width = written, length
        written += length
    return written


@compiled_exactly
def _second_sums(stored: NDArray[np.int16], start: int) -> NDArray[np.int16]:
    """Undo the second differences. The first two samples are stored as they are."""
    samples = stored.copy()
    last = np.int64(start)
    for i in range(2, len(samples)):
        samples[i] = 2 * np.int64(samples[i - 1]) - samples[i - 2] - last
        last = np.int64(stored[i]) - _OFFSET
    return samples
