"""WFDB records: a text header (``.hea``) with signal files, or with segments that are records themselves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stence.ecg.formats import wfdb_header, wfdb_samples, wfdb_segments
from stence.ecg.formats.limits import Limits
from stence.ecg.formats.wfdb_header import Header
from stence.ecg.leads import complete, find_leads, lead_of_name
from stence.ecg.reasons import Reason, refuse
from stence.ecg.recording import Recording

NAME = "WFDB"


def companions(content: bytes, files: Mapping[str, bytes], limits: Limits) -> tuple[str, ...]:
    """Return the names of the files with the needed leads.

    Those of a record of several segments are the headers of the segments, and the signal files of the headers
    that are in ``files``. Raises UnusableEcgError if a header is broken or has too few leads.
    """
    header = wfdb_header.parse(content, limits)
    if header.segments:
        return (*wfdb_segments.headers(header), *wfdb_segments.signal_files(header, files, limits))
    needed = [header.channels[index].file_name for index in _leads(header).values()]
    return tuple(dict.fromkeys(needed))


def parts(content: bytes, files: Mapping[str, bytes], limits: Limits) -> tuple[str, ...]:
    """Return the names of all files of the record that are known so far, needed or not.

    Raises UnusableEcgError if a header is broken.
    """
    header = wfdb_header.parse(content, limits)
    if header.segments:
        return companions(content, files, limits)
    names = dict.fromkeys(channel.file_name for channel in header.channels)
    return tuple(name for name in names if name != wfdb_header.NO_FILE)


def decode(content: bytes, files: Mapping[str, bytes], limits: Limits) -> Recording:
    """Decode a recording from the header's content and the other files by name.

    Raises UnusableEcgError if the header or another file cannot be read.
    """
    header = wfdb_header.parse(content, limits)
    leads, signal = _signal(header, files, limits)
    return Recording(
        complete(leads, signal),
        header.sampling_rate,
        patient_id=_patient(header, files, limits),
        acquired_at=header.acquired_at,
        device=header.about.device,
        sex=header.about.sex,
        age=header.about.age,
        site=header.about.site,
        indication=header.about.indication,
        format=NAME,
    )


def _signal(
    header: Header, files: Mapping[str, bytes], limits: Limits
) -> tuple[list[str], NDArray[np.float32]]:
    if header.segments:
        return wfdb_segments.read(header, files, limits)
    leads = _leads(header)
    return list(leads), wfdb_samples.read(header, list(leads.values()), files, limits)


def _leads(header: Header) -> dict[str, int]:
    if header.is_layout:
        raise refuse(Reason.UNSUPPORTED_FORMAT, "the layout of a WFDB record of several segments")
    return find_leads([lead_of_name(channel.name) for channel in header.channels])


def _patient(header: Header, files: Mapping[str, bytes], limits: Limits) -> str | None:
    """Return the patient number of the record, or of its segments. Raises UnusableEcgError if they differ."""
    named = {header.about.patient_id} - {None}
    if header.segments:
        named |= wfdb_segments.patients(header, files, limits)
    if len(named) > 1:
        raise refuse(Reason.UNREADABLE_PATIENT, "the segments of the WFDB record name several patients")
    return next(iter(named), None)
