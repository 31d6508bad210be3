"""Samples of WFDB signal files, in millivolts. 16-bit formats are read here, other formats by ``wfdb``.

Format 61 is format 16 with the bytes of each sample swapped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from stence.ecg.compiled import compiled_exactly
from stence.ecg.formats.limits import Limits, check_size, millivolts
from stence.ecg.formats.wfdb_header import Channel, Header
from stence.ecg.leads import lead_of_name, shift
from stence.ecg.reasons import Reason, refuse

_BITS_PER_SAMPLE = {
    **{"8": 8, "16": 16, "24": 24, "32": 32, "61": 16, "80": 8, "160": 16, "212": 12},
    **{"310": 32 / 3, "311": 32 / 3},
}
_BIG_ENDIAN = "61"
_COMPRESSED = ("508", "516", "524")
_INVALID_16_BIT = -(2**15)


def read(
    header: Header, wanted: Sequence[int], files: Mapping[str, bytes], limits: Limits
) -> NDArray[np.float32]:
    """Read the wanted channels (k, n) in millivolts, with NaN for samples that the format marks as invalid.

    Channels in format 16 equal the physical signal of ``wfdb.rdrecord`` rounded to float32, bit for bit.
    Raises UnusableEcgError if a file is missing, has an unknown format, is shorter than the header says, or
    does not match its checksum.
    """
    for index in wanted:
        _check_calibration(header.channels[index])
    held: dict[str, list[int]] = {header.channels[index].file_name: [] for index in wanted}
    for index, channel in enumerate(header.channels):
        if channel.file_name in held:
            held[channel.file_name].append(index)
    stored = {name: [header.channels[index] for index in indices] for name, indices in held.items()}
    samples = min(_samples(header, channels, files, limits) for channels in stored.values())
    check_size(len(wanted), samples, limits)
    signal = np.empty((len(wanted), samples), dtype=np.float32)
    for name, channels in stored.items():
        decode = _read_16_bit if all(map(_is_plain_16_bit, channels)) else _read_through_wfdb
        rows = [row for row, index in enumerate(wanted) if index in held[name]]
        columns = [held[name].index(wanted[row]) for row in rows]
        decode(_little_endian(files[name], channels[0]), channels, columns, signal, rows)
    return signal


def _check_calibration(channel: Channel) -> None:
    """Refuse gain 0, which says that the amplitude is unknown. Its default of 200 is only for display."""
    if channel.gain == 0:
        detail = f"lead {channel.name} has gain 0 or none: its amplitude is unknown; export it with its gain"
        raise refuse(Reason.UNKNOWN_UNIT, detail, lead_of_name(channel.name))


def _samples(header: Header, channels: Sequence[Channel], files: Mapping[str, bytes], limits: Limits) -> int:
    """Return the number of samples to read from one file, before memory is allocated for them."""
    name, layout, offset = channels[0].file_name, channels[0].format, channels[0].byte_offset
    if name not in files:
        raise refuse(Reason.OBJECT_MISSING, f"the signal file {name} is missing")
    if any(channel.format != layout for channel in channels):
        raise refuse(Reason.BROKEN_HEADER, f"the header gives {name} several formats")
    if layout not in _BITS_PER_SAMPLE and layout not in _COMPRESSED:
        raise refuse(Reason.UNSUPPORTED_FORMAT, f"{name} has the unknown WFDB format {layout[:8]}")
    per_frame = sum(channel.samples_per_frame for channel in channels)
    if layout in _COMPRESSED:
        there = header.samples or 0  # the true number is known only after decompression
    else:
        bits = 8 * max(0, len(files[name]) - offset)
        there = int(bits / (_BITS_PER_SAMPLE[layout] * per_frame))
    samples = there if header.samples is None else header.samples
    if there < samples or not samples:
        raise refuse(Reason.TRUNCATED, f"{name} holds {there} of {samples} samples", value=there)
    check_size(1, samples * per_frame, limits)
    return samples


def _little_endian(content: bytes, first: Channel) -> bytes:
    """Return the file with samples in the byte order of format 16."""
    if first.format != _BIG_ENDIAN:
        return content
    start, count = first.byte_offset, (len(content) - first.byte_offset) // 2
    return content[:start] + np.frombuffer(content, ">i2", count, start).astype("<i2").tobytes()


def _is_plain_16_bit(channel: Channel) -> bool:
    return channel.format in ("16", _BIG_ENDIAN) and channel.samples_per_frame == 1 and channel.skew == 0


def _read_16_bit(
    content: bytes,
    channels: Sequence[Channel],
    columns: list[int],
    signal: NDArray[np.float32],
    rows: list[int],
) -> None:
    """Read interleaved little-endian integers. This is the fast path."""
    samples, width = signal.shape[1], len(channels)
    block = np.frombuffer(content, dtype="<i2", count=samples * width, offset=channels[0].byte_offset)
    chosen = [channels[column] for column in columns]
    baseline = np.array([channel.baseline for channel in chosen], dtype=np.float64)
    gain = np.array([channel.gain for channel in chosen])
    unit = np.array([_millivolts(channel) for channel in chosen])
    places = np.array([columns, rows])
    sums = _scale_16_bit(block.reshape(samples, width), places, baseline, gain, unit, signal)
    _verify(chosen, sums.tolist())


@compiled_exactly
def _scale_16_bit(
    block: NDArray[np.int16],
    places: NDArray[np.int64],
    baseline: NDArray[np.float64],
    gain: NDArray[np.float64],
    unit: NDArray[np.float64],
    signal: NDArray[np.float32],
) -> NDArray[np.int64]:
    """Fill rows of the signal from columns of the block, by wfdb's operations. Return the sums of samples."""
    sums = np.zeros(len(gain), dtype=np.int64)
    for index in range(len(gain)):
        digital = np.ascontiguousarray(block[:, places[0, index]])
        row = signal[places[1, index]]
        zero, per_unit, millivolts_per_unit = baseline[index], gain[index], unit[index]
        total = 0
        for i in range(len(digital)):
            total += digital[i]
        for i in range(len(digital)):
            physical = (np.float64(digital[i]) - zero) / per_unit * millivolts_per_unit
            row[i] = physical if digital[i] != _INVALID_16_BIT else np.nan
        sums[index] = total
    return sums


def _read_through_wfdb(
    content: bytes,
    channels: Sequence[Channel],
    columns: list[int],
    signal: NDArray[np.float32],
    rows: list[int],
) -> None:
    """Read any other format. ``wfdb`` gets the samples and a header written here, never the sender's text."""
    import wfdb  # noqa: PLC0415 - the import takes seconds, and few archives need it

    samples = signal.shape[1]
    with TemporaryDirectory(prefix="stence-") as folder:
        Path(folder, "ecg.dat").write_bytes(content)
        Path(folder, "ecg.hea").write_text(_header_text(channels, samples))
        record = wfdb.rdrecord(
            f"{folder}/ecg", channels=columns, physical=False, smooth_frames=False, ignore_skew=True
        )
    chosen = [channels[column] for column in columns]
    _verify(chosen, record.calc_checksum(expanded=True))
    for row, channel, physical in zip(rows, chosen, record.dac(expanded=True), strict=True):
        signal[row] = physical.reshape(samples, -1).mean(axis=1) * _millivolts(channel)
        shift(signal[row], -channel.skew)


def _millivolts(channel: Channel) -> float:
    return millivolts(channel.unit, channel.name)


def _header_text(channels: Sequence[Channel], samples: int) -> str:
    lines = [f"ecg {len(channels)} 500 {samples}"]
    lines += [
        f"ecg.dat {'16' if channel.format == _BIG_ENDIAN else channel.format}"
        f"x{channel.samples_per_frame}+{channel.byte_offset}"
        f" {channel.gain!r}({channel.baseline})/mV 0 0 {channel.initial} 0 0 {number}"
        for number, channel in enumerate(channels)
    ]
    return "\n".join(lines) + "\n"


def _verify(channels: Sequence[Channel], sums: Sequence[float]) -> None:
    """Compare 16-bit checksums. A checksum of 0 is ignored: some writers compute none."""
    for channel, total in zip(channels, sums, strict=True):
        if channel.checksum and (channel.checksum - int(total)) % 65536:
            raise refuse(
                Reason.CHECKSUM_MISMATCH,
                f"the samples of {channel.file_name} do not add up to the header's checksum",
                lead_of_name(channel.name),
            )
