"""GE MUSE RestingECG XML: the rhythm waveform, eight stored leads or more, 16-bit samples in Base64."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from xml.etree.ElementTree import Element
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from stence.ecg import machine
from stence.ecg.formats.limits import Limits, check_rate, check_size, millivolts
from stence.ecg.formats.xml_document import (
    age_at,
    binary,
    moment,
    number,
    numbers,
    only_patient,
    parse,
    required_number,
    root_name,
    text,
    whole,
)
from stence.ecg.leads import complete, find_leads, lead_of_name
from stence.ecg.reasons import Reason, refuse
from stence.ecg.recording import Recording, Sex

NAME = "MUSE XML"
MAX_WAVEFORMS = 16
_SAMPLE_BYTES = 2
_HERTZ = 0.01  # high-pass cut-offs are whole hundredths: 5 and 16 are .05 and .16 Hz
_UNITS = {"MICROVOLTS": "uv", "MILLIVOLTS": "mv"}
_SEXES: dict[str, Sex] = {"FEMALE": "F", "MALE": "M"}
_YEARS = {"YEARS": 1.0, "MONTHS": 1 / 12, "WEEKS": 7 / 365.25, "DAYS": 1 / 365.25, "HOURS": 1 / 8766}
_MEASUREMENTS = {
    "heart_rate": "VentricularRate",
    "pr_ms": "PRInterval",
    "qrs_ms": "QRSDuration",
    "qt_ms": "QTInterval",
    "qtc_ms": "QTCorrected",
    "p_axis": "PAxis",
    "qrs_axis": "RAxis",
    "t_axis": "TAxis",
}
_DAY, _TIME = "%m-%d-%Y", "%H:%M:%S"


def recognises(content: bytes) -> bool:
    """Return True if the root element is ``RestingECG``."""
    return root_name(content) == "RestingECG"


def decode(content: bytes, limits: Limits) -> Recording:
    """Decode the rhythm waveform with the most leads, in millivolts; missing limb leads are derived.

    Raises UnusableEcgError if the document is broken, has no such waveform, lies about its length, lacks the
    scale of a lead, or does not agree with a lead's CRC-32.
    """
    root = parse(content, limits)
    rhythm = _rhythm(root)
    acquired = _acquired_at(root)
    patient, test = root.find("PatientDemographics"), root.find("TestDemographics")
    return Recording(
        _signal(rhythm, limits),
        _rate(rhythm),
        patient_id=only_patient(element.text or "" for element in root.iter("PatientID")),
        acquired_at=acquired,
        device=text(test, "AcquisitionDevice") or None,
        sex=_SEXES.get(text(patient, "Gender").upper()),
        age=_age(patient, age_at(moment(text(patient, "DateofBirth"), _DAY), acquired)),
        site=text(test, "SiteName") or None,
        indication=text(test, "TestReason") or text(root, "Order/AdmitDiagnosis") or None,
        format=NAME,
        device_serial=text(root, "PharmaData/PharmaCartID") or None,
        filters=_filters(rhythm),
        measurements=numbers(root.find("RestingECGMeasurements"), _MEASUREMENTS),
        statements=tuple(_statements(root)),
    )


def _rhythm(root: Element) -> Element:
    """Return the waveform to read, without median beats: most leads first, then the longest."""
    waveforms = root.findall("Waveform")
    if len(waveforms) > MAX_WAVEFORMS:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, f"{len(waveforms)} waveforms in one file", value=len(waveforms))
    rhythms = [waveform for waveform in waveforms if text(waveform, "WaveformType").upper() == "RHYTHM"]
    if not rhythms:
        raise refuse(Reason.MISSING_LEADS, "the MUSE document holds no rhythm waveform", value=0)
    return max(rhythms, key=_preference)


def _preference(waveform: Element) -> tuple[int, float]:
    leads = {_lead(lead) for lead in waveform.iterfind("LeadData")} - {None}
    return len(leads), number(text(waveform, "LeadData/LeadSampleCountTotal")) or 0.0


def _lead(lead: Element) -> str | None:
    return lead_of_name(text(lead, "LeadID"))


def _rate(waveform: Element) -> float:
    """Return the sampling rate in Hz: ``SampleBase`` times ten to the power of ``SampleExponent``."""
    base, exponent = required_number(waveform, "SampleBase"), number(text(waveform, "SampleExponent")) or 0.0
    if abs(exponent) > 9:
        raise refuse(Reason.BROKEN_HEADER, f"sample exponent {exponent:g}", value=exponent)
    rate = base * 10.0**exponent
    check_rate(rate)
    return rate


def _signal(waveform: Element, limits: Limits) -> NDArray[np.float32]:
    """Return the twelve leads (12, n) in millivolts."""
    if text(waveform, "SampleType") not in ("", "CONTINUOUS_SAMPLES"):
        raise refuse(Reason.UNSUPPORTED_FORMAT, "the MUSE waveform is not stored as continuous samples")
    channels = waveform.findall("LeadData")
    leads = find_leads([_lead(channel) for channel in channels])
    count = _count(channels[0])
    check_size(len(channels), count, limits)
    signal = np.empty((len(leads), count), dtype=np.float32)
    for row, (lead, index) in enumerate(leads.items()):
        _check_layout(channels[index], channels[0], lead)
        signal[row] = _samples(channels[index], count, lead) * _scale(channels[index], lead)
    return complete(list(leads), signal)


def _count(channel: Element) -> int:
    return whole(required_number(channel, "LeadSampleCountTotal"), "LeadSampleCountTotal")


def _check_layout(channel: Element, first: Element, lead: str) -> None:
    """Raise UnusableEcgError unless the lead has 16-bit samples, and start and length of the first lead."""
    if text(channel, "LeadSampleSize") not in ("", str(_SAMPLE_BYTES)):
        raise refuse(Reason.UNSUPPORTED_FORMAT, f"the samples of lead {lead} do not have 16 bits", lead)
    for name in ("LeadSampleCountTotal", "LeadTimeOffset", "LeadOffsetFirstSample"):
        if text(channel, name) != text(first, name):
            raise refuse(Reason.BROKEN_HEADER, f"lead {lead} differs from the first lead in {name}", lead)


def _samples(channel: Element, count: int, lead: str) -> NDArray[np.int16]:
    """Return the stored integers (n,), little-endian. ``LeadDataCRC32`` is the CRC-32 of their bytes."""
    data = binary(channel, "WaveFormData", lead)
    there = len(data) // _SAMPLE_BYTES
    if there < count:
        raise refuse(Reason.TRUNCATED, f"lead {lead} holds {there} of {count} samples", lead, there)
    stated = text(channel, "LeadDataCRC32")
    if stated.strip("0") and stated != str(crc32(data)):
        detail = f"the samples of lead {lead} do not agree with their checksum"
        raise refuse(Reason.CHECKSUM_MISMATCH, detail, lead)
    return np.frombuffer(data, "<i2", count)


def _scale(channel: Element, lead: str) -> np.float32:
    """Return millivolts per step."""
    unit = text(channel, "LeadAmplitudeUnits").upper()
    step = number(text(channel, "LeadAmplitudeUnitsPerBit"))
    if step is None or step <= 0:
        raise refuse(Reason.UNKNOWN_UNIT, f"lead {lead} has no amplitude per bit", lead)
    return np.float32(step * millivolts(_UNITS.get(unit, unit), lead))


def _acquired_at(root: Element) -> datetime | None:
    day, time = (text(root, f"TestDemographics/Acquisition{part}") for part in ("Date", "Time"))
    return moment(f"{day} {time}", f"{_DAY} {_TIME}")


def _age(patient: Element | None, since_birth: float | None) -> float | None:
    stated = number(text(patient, "PatientAge"))
    factor = _YEARS.get(text(patient, "AgeUnits").upper())
    return since_birth if stated is None or factor is None else stated * factor


def _filters(waveform: Element) -> str | None:
    low, high, mains = (
        number(text(waveform, name)) for name in ("HighPassFilter", "LowPassFilter", "ACFilter")
    )
    return machine.filters(low and low * _HERTZ, high, mains)


def _statements(root: Element) -> Iterator[str]:
    """Return the lines of the diagnosis, else of the machine's. A line ends with the flag ``ENDSLINE``."""
    diagnosis = root.find("Diagnosis")
    statements = root.iterfind(
        f"{'OriginalDiagnosis' if diagnosis is None else 'Diagnosis'}/DiagnosisStatement"
    )
    line: list[str] = []
    for statement in statements:
        line.append(text(statement, "StmtText"))
        if any((flag.text or "").strip() == "ENDSLINE" for flag in statement.iterfind("StmtFlag")):
            yield _joined(line)
            line = []
    yield _joined(line)


def _joined(parts: list[str]) -> str:
    return " ".join(filter(None, parts)).replace(" ,", ",")
