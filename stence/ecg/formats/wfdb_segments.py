"""WFDB records of several segments, of fixed or variable layout, by header(5) of the Applications Guide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stence.ecg.formats import wfdb_header, wfdb_samples
from stence.ecg.formats.limits import Limits, check_size
from stence.ecg.formats.wfdb_header import NO_FILE, Header, Segment
from stence.ecg.leads import find_leads, lead_of_name
from stence.ecg.reasons import Reason, refuse


def headers(master: Header) -> tuple[str, ...]:
    """Return the names of the segments' headers, that of the layout included."""
    return tuple(dict.fromkeys(each.header for each in master.segments if each.record != NO_FILE))


def signal_files(master: Header, files: Mapping[str, bytes], limits: Limits) -> tuple[str, ...]:
    """Return the names of the signal files of those segments whose headers are in ``files``."""
    _check_samples(master, limits)
    parsed = [_parsed(name, files, limits) for name in headers(master) if name in files]
    named = [channel.file_name for header in parsed for channel in header.channels]
    return tuple(name for name in dict.fromkeys(named) if name != NO_FILE)


def read(master: Header, files: Mapping[str, bytes], limits: Limits) -> tuple[list[str], NDArray[np.float32]]:
    """Return leads and signal (k, n) in millivolts, with NaN where a segment lacks a lead or is missing.

    The leads are those of the layout, or else of the first segment. Raises UnusableEcgError.
    """
    samples = _check_samples(master, limits)
    first = next((each for each in master.segments if each.record != NO_FILE), None)
    if first is None:
        raise refuse(Reason.BROKEN_HEADER, "the WFDB record has no segment with samples")
    channels = _parsed(first.header, files, limits).channels
    leads = list(find_leads([lead_of_name(channel.name) for channel in channels]))
    _check_bytes(master, files, limits)
    signal = np.full((len(leads), samples), np.nan, dtype=np.float32)
    end = 0
    for segment in master.segments:
        start, end = end, end + segment.samples
        if segment.record != NO_FILE and segment.samples:
            _read_segment(master, segment, leads, signal[:, start:end], files, limits)
    return leads, signal


def patients(master: Header, files: Mapping[str, bytes], limits: Limits) -> set[str]:
    """Return the patient numbers in the headers of all segments."""
    parsed = (_parsed(name, files, limits) for name in headers(master))
    return {each.about.patient_id for each in parsed if each.about.patient_id is not None}


def _check_samples(master: Header, limits: Limits) -> int:
    """Return the record's samples of each channel. Raises UnusableEcgError on a contradiction."""
    samples = sum(segment.samples for segment in master.segments)
    if samples != (master.samples or samples):
        detail = f"the segments have {samples} samples, the WFDB record {master.samples}"
        raise refuse(Reason.BROKEN_HEADER, detail, value=samples)
    check_size(1, samples, limits)
    return samples


def _check_bytes(master: Header, files: Mapping[str, bytes], limits: Limits) -> None:
    """Refuse segments that together take in more bytes than a file may have, by the same large file again."""
    total = 0
    for segment in master.segments:
        if segment.record != NO_FILE:
            channels = _parsed(segment.header, files, limits).channels
            total += sum(len(files.get(name, b"")) for name in {channel.file_name for channel in channels})
    if total > limits.expanded_bytes:
        detail = f"the segments of the WFDB record take in {total} bytes together"
        raise refuse(Reason.IMPLAUSIBLE_SIZE, detail, value=total)


def _parsed(name: str, files: Mapping[str, bytes], limits: Limits) -> Header:
    if name not in files:
        raise refuse(Reason.OBJECT_MISSING, f"the segment {name} is missing")
    header = wfdb_header.parse(files[name], limits)
    if header.segments:
        raise refuse(Reason.BROKEN_HEADER, "a segment of the WFDB record has segments itself")
    return header


def _leads(header: Header) -> dict[str, int]:
    named = [lead_of_name(channel.name) for channel in header.channels]
    found = {lead: index for index, lead in enumerate(named) if lead is not None}
    if len(found) < sum(lead is not None for lead in named):
        raise refuse(Reason.DOUBLED_LEAD, "a segment stores a lead twice; the right one is unknown")
    return found


def _read_segment(
    master: Header,
    segment: Segment,
    leads: list[str],
    signal: NDArray[np.float32],
    files: Mapping[str, bytes],
    limits: Limits,
) -> None:
    """Fill the leads of a segment into its part of the signal (k, n)."""
    header = _parsed(segment.header, files, limits)
    if header.sampling_rate != master.sampling_rate or header.samples not in (None, segment.samples):
        raise refuse(Reason.BROKEN_HEADER, "a segment has another length or rate than the WFDB record says")
    stored = _leads(header)
    rows = [row for row, lead in enumerate(leads) if lead in stored]
    if rows:
        header = replace(header, samples=segment.samples)  # a file is not decoded beyond its segment
        samples = wfdb_samples.read(header, [stored[leads[row]] for row in rows], files, limits)
        signal[rows] = samples
