"""WFDB records: a text header (``.hea``) with one or more signal files."""

from __future__ import annotations

from collections.abc import Mapping

from stence.ecg.formats import wfdb_header, wfdb_samples
from stence.ecg.formats.limits import Limits
from stence.ecg.formats.wfdb_header import Header
from stence.ecg.leads import complete, find_leads, lead_of_name
from stence.ecg.recording import Recording

NAME = "WFDB"


def companions(content: bytes, limits: Limits) -> tuple[str, ...]:
    """Return the names of the signal files with the needed leads.

    Raises UnusableEcgError if the header is broken or has too few leads.
    """
    header = wfdb_header.parse(content, limits)
    needed = [header.channels[index].file_name for index in _leads(header).values()]
    return tuple(dict.fromkeys(needed))


def signal_files(content: bytes, limits: Limits) -> tuple[str, ...]:
    """Return the names of all signal files. Raises UnusableEcgError if the header is broken."""
    return tuple(dict.fromkeys(channel.file_name for channel in wfdb_header.parse(content, limits).channels))


def decode(content: bytes, files: Mapping[str, bytes], limits: Limits) -> Recording:
    """Decode a recording from the header's content and the signal files by name.

    Raises UnusableEcgError if the header or a signal file cannot be read.
    """
    header = wfdb_header.parse(content, limits)
    leads = _leads(header)
    signal = wfdb_samples.read(header, list(leads.values()), files, limits)
    return Recording(
        complete(list(leads), signal),
        header.sampling_rate,
        patient_id=header.about.patient_id,
        acquired_at=header.acquired_at,
        device=header.about.device,
        sex=header.about.sex,
        age=header.about.age,
        site=header.about.site,
        indication=header.about.indication,
        format=NAME,
    )


def _leads(header: Header) -> dict[str, int]:
    return find_leads([lead_of_name(channel.name) for channel in header.channels])
