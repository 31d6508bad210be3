"""SCP-ECG, the Standard Communications Protocol for electrocardiography (EN 1064, ISO 11073-91064).

Versions 1.x to 3.0, as far as they keep the rhythm in section 6.
"""

from __future__ import annotations

from stence.ecg.formats.limits import Limits
from stence.ecg.formats.scp import particulars, results, rhythm
from stence.ecg.formats.scp.sections import is_first_pointer, split
from stence.ecg.leads import complete
from stence.ecg.recording import Recording

NAME = "SCP-ECG"


def recognises(content: bytes) -> bool:
    """Return True if the first pointer of section 0 describes section 0 itself (EN 1064, 5.3)."""
    return is_first_pointer(content)


def decode(content: bytes, limits: Limits) -> Recording:
    """Decode the rhythm data (section 6) in millivolts, with the patient, device and results.

    Raises UnusableEcgError if a checksum differs, a section is broken or truncated, a lead is missing, or the
    rhythm is compressed in a way that cannot be read with certainty. Raises PatientIdError for an invalid
    patient number.
    """
    sections = split(content)
    about = particulars.read(sections)
    leads, signal, sampling_rate = rhythm.read(sections, limits)
    return Recording(
        complete(leads, signal),
        sampling_rate,
        patient_id=about.patient_id,
        acquired_at=about.acquired_at,
        device=about.device,
        sex=about.sex,
        age=about.age,
        site=about.site,
        indication=about.indication,
        format=NAME,
        device_serial=about.device_serial,
        filters=about.filters,
        measurements=results.measurements(sections),
        statements=results.statements(sections, about.encoding),
    )
