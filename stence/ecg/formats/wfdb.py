"""WFDB records: a text header (``.hea``) and one or several signal files beside it."""

from __future__ import annotations

from collections.abc import Mapping

from stence.ecg.formats import wfdb_header, wfdb_samples
from stence.ecg.formats.wfdb_header import Header
from stence.ecg.leads import complete, find_leads, lead_of_name
from stence.ecg.recording import Recording


def companions(content: bytes) -> tuple[str, ...]:
    """Names of the signal files that hold the needed leads; others are left alone.

    Raises UnusableEcgError if the header is broken or names too few leads.
    """
    header = wfdb_header.parse(content)
    needed = [header.channels[index].file_name for index in _leads(header).values()]
    return tuple(dict.fromkeys(needed))


def signal_files(content: bytes) -> tuple[str, ...]:
    """Names of all signal files. Raises UnusableEcgError if the header is broken."""
    return tuple(dict.fromkeys(channel.file_name for channel in wfdb_header.parse(content).channels))


def decode(content: bytes, files: Mapping[str, bytes]) -> Recording:
    """The recording, given the header's content and the signal files by name.

    Raises UnusableEcgError if either cannot be read.
    """
    header = wfdb_header.parse(content)
    leads = _leads(header)
    signal = wfdb_samples.read(header, list(leads.values()), files)
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
    )


def _leads(header: Header) -> dict[str, int]:
    return find_leads([lead_of_name(channel.name) for channel in header.channels])
