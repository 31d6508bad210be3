"""MFER, the medical waveform format encoding rules, for standard 12-lead ECGs (ISO 22077-1 and -2)."""

from __future__ import annotations

from stence.ecg.formats.limits import Limits
from stence.ecg.formats.mfer import particulars, waveform
from stence.ecg.formats.mfer.elements import read
from stence.ecg.leads import complete
from stence.ecg.recording import Recording

NAME = "MFER"
_PREAMBLES = (b"@ MFR ", b"@  MFER ")
"""Tag 40h (@), a length of 32 (a blank), and the start of the preamble in its two spellings."""


def recognises(content: bytes) -> bool:
    """Return True if the bytes begin with MFER's preamble. Files without it are not read."""
    return content.startswith(_PREAMBLES)


def decode(content: bytes, limits: Limits) -> Recording:
    """Decode the standard 12-lead waveform in millivolts, with patient and device.

    Raises UnusableEcgError if the file is no such waveform, is truncated, or uses a rule that stence does not
    read. Raises PatientIdError for an invalid patient number.
    """
    elements = read(content, limits)
    about = particulars.read(elements)
    leads, signal, sampling_rate = waveform.read(elements, limits)
    return Recording(
        complete(leads, signal),
        sampling_rate,
        patient_id=about.patient_id,
        acquired_at=about.acquired_at,
        device=about.device,
        sex=about.sex,
        age=about.age,
        format=NAME,
        device_serial=about.device_serial,
        filters=about.filters,
    )
