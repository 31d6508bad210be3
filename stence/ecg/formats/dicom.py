"""DICOM waveforms: 12-lead, general and general 32-bit ECG storage (PS3.3 A.34.3, A.34.4, A.34.10)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    General32bitECGWaveformStorage,
    GeneralECGWaveformStorage,
    TwelveLeadECGWaveformStorage,
)

from stence.dicom import (
    PARTICULARS,
    TooManyElementsError,
    acquired_at,
    age,
    items,
    patient_number,
    raw_bytes,
    read_elements,
    text,
    value,
)
from stence.domain.text import plain_text
from stence.ecg.formats.limits import Limits, check_rate, check_size, millivolts
from stence.ecg.leads import complete, find_leads, is_lead_code, lead_of_code, lead_of_name, shift
from stence.ecg.reasons import Reason, refuse
from stence.ecg.recording import Recording, Sex

NAME = "DICOM"
MAX_GROUPS = 16
"""Largest number of multiplex groups. Usual are a rhythm, a median beat, and perhaps strips of 2.5 s."""
_REMARK_BYTES = 2**10
_ECG_CLASSES = (TwelveLeadECGWaveformStorage, GeneralECGWaveformStorage, General32bitECGWaveformStorage)
_KEYWORDS = (
    *PARTICULARS,
    "SOPClassUID",
    "Manufacturer",
    "ManufacturerModelName",
    "InstitutionName",
    "ReasonForTheRequestedProcedure",
    "RequestedProcedureDescription",
    "PatientSex",
)
_SEQUENCES = (
    "RequestAttributesSequence",
    "WaveformSequence",
    "ChannelDefinitionSequence",
    "ChannelSourceSequence",
    "ChannelSensitivityUnitsSequence",
)
_SAMPLE_TYPES = {"SB": "i1", "UB": "u1", "SS": "i2", "US": "u2", "SL": "i4", "UL": "u4"}
_BITS = {"i1": 8, "u1": 8, "i2": 16, "u2": 16, "i4": 32, "u4": 32}


def recognises(content: bytes) -> bool:
    """Return True if the bytes have the DICOM prefix (PS3.10 7.1). Files without it are not read."""
    return content[128:132] == b"DICM"


def decode(content: bytes, limits: Limits) -> Recording:
    """Decode the longest rhythm group with twelve leads, in millivolts.

    Raises UnusableEcgError if the file is no ECG, is truncated, has no such group, or lacks the scale of a
    lead. Raises PatientIdError for an invalid patient number. Other exceptions of ``pydicom`` pass through.
    """
    dataset = _parsed(content)
    if value(dataset, "SOPClassUID") not in _ECG_CLASSES:
        raise refuse(Reason.UNSUPPORTED_FORMAT, "a DICOM file, but not an ECG waveform")
    group = _rhythm(dataset, limits)
    channels = items(group, "ChannelDefinitionSequence")
    leads = find_leads([_lead(channel) for channel in channels])
    little_endian = dataset.original_encoding[1]
    return Recording(
        complete(list(leads), _samples(group, leads, "<" if little_endian else ">", limits)),
        _rate(group),
        patient_id=patient_number(dataset),
        acquired_at=acquired_at(dataset),
        device=_device(dataset),
        sex=_sex(dataset),
        age=age(dataset),
        site=plain_text(text(dataset, "InstitutionName", _REMARK_BYTES)),
        indication=_indication(dataset),
        format=NAME,
    )


def _parsed(content: bytes) -> FileDataset:
    if DeflatedExplicitVRLittleEndian.encode() in content:  # a few kB could inflate to any size
        raise refuse(Reason.UNSUPPORTED_FORMAT, "DICOM in the deflated transfer syntax")
    try:
        return read_elements(content, _KEYWORDS, _SEQUENCES)
    except TooManyElementsError as error:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, str(error)) from None


def _rhythm(dataset: Dataset, limits: Limits) -> Dataset:
    """Return the multiplex group to read, without median beats.

    Most leads come first, then original before derived, then the longest group.
    """
    groups = items(dataset, "WaveformSequence")
    if len(groups) > MAX_GROUPS:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, f"{len(groups)} waveforms in one file", value=len(groups))
    rhythms = [group for group in groups if not _is_median_beat(group)]
    if not rhythms:
        raise refuse(Reason.MISSING_LEADS, "the DICOM file holds no rhythm recording", value=0)
    return max(rhythms, key=lambda group: _preference(group, limits))


def _is_median_beat(group: Dataset) -> bool:
    return "MEDIAN" in text(group, "MultiplexGroupLabel").upper()


def _preference(group: Dataset, limits: Limits) -> tuple[int, bool, float]:
    channels, rate = items(group, "ChannelDefinitionSequence"), _rate(group)
    if channels:
        check_size(len(channels), 1, limits)
    return (
        len({_lead(channel) for channel in channels} - {None}),
        text(group, "WaveformOriginality") != "DERIVED",
        _number(group, "NumberOfWaveformSamples") / rate,
    )


def _rate(group: Dataset) -> float:
    """Return the sampling frequency in Hz."""
    rate = _number(group, "SamplingFrequency")
    check_rate(rate)
    return rate


def _number(dataset: Dataset, keyword: str) -> float:
    """Return a required number."""
    try:
        return float(value(dataset, keyword))
    except (TypeError, ValueError, OverflowError):
        raise refuse(Reason.BROKEN_HEADER, f"the DICOM file does not give {keyword} as a number") from None


def _whole(dataset: Dataset, keyword: str) -> int:
    """Return a required integer."""
    number = _number(dataset, keyword)
    if not number.is_integer():
        raise refuse(Reason.BROKEN_HEADER, f"{keyword} is not an integer in the DICOM file")
    return int(number)


def _lead(channel: Dataset) -> str | None:
    """Return the channel's lead: from the standard code if there is one, else from the free-text label."""
    source = next(iter(items(channel, "ChannelSourceSequence")), Dataset())
    code = text(source, "CodeValue")
    if is_lead_code(code):
        return lead_of_code(code)
    return lead_of_name(text(source, "CodeMeaning") or text(channel, "ChannelLabel"))


def _samples(
    group: Dataset, leads: Mapping[str, int], byte_order: str, limits: Limits
) -> NDArray[np.float32]:
    """Return the leads (k, n) in millivolts, with NaN for padding."""
    digital = _digital(group, byte_order, limits)[list(leads.values())]
    channels = items(group, "ChannelDefinitionSequence")
    padding = raw_bytes(group, "WaveformPaddingValue")
    signal = np.empty(digital.shape, dtype=np.float32)
    for row, (lead, index) in enumerate(leads.items()):
        scale, baseline = _scale(channels[index], lead)
        signal[row] = digital[row] * scale + baseline
        if padding:
            signal[row, digital[row] == np.frombuffer(padding, digital.dtype, count=1)] = np.nan
        shift(signal[row], _skew(channels[index], _rate(group)))
    return signal


def _digital(group: Dataset, byte_order: str, limits: Limits) -> NDArray[np.integer]:
    """Return all channels (k, n) as stored integers."""
    channels, count = _whole(group, "NumberOfWaveformChannels"), _whole(group, "NumberOfWaveformSamples")
    check_size(channels, count, limits)
    if channels != len(items(group, "ChannelDefinitionSequence")):
        raise refuse(Reason.BROKEN_HEADER, f"{channels} channels are declared, another number is described")
    sample_type = _SAMPLE_TYPES.get(text(group, "WaveformSampleInterpretation"), "")
    if value(group, "WaveformBitsAllocated") != _BITS.get(sample_type):
        raise refuse(Reason.UNSUPPORTED_FORMAT, "the DICOM waveform's samples are not plain integers")
    dtype, data = np.dtype(byte_order + sample_type), raw_bytes(group, "WaveformData")
    there = len(data) // (channels * dtype.itemsize)
    if there < count:
        raise refuse(Reason.TRUNCATED, f"the waveform holds {there} of {count} samples", value=there)
    return np.frombuffer(data, dtype, count * channels).reshape(count, channels).T


def _scale(channel: Dataset, lead: str) -> tuple[float, float]:
    """Return millivolts per step and at sample value 0 (PS3.3 C.10.9.1.4.3).

    They are sensitivity * correction, and the baseline.
    """
    units = items(channel, "ChannelSensitivityUnitsSequence")
    if not units or value(channel, "ChannelSensitivity") is None:
        raise refuse(Reason.UNKNOWN_UNIT, f"lead {lead} has no sensitivity in volts", lead)
    unit = millivolts(text(units[0], "CodeValue"), lead)
    correction = value(channel, "ChannelSensitivityCorrectionFactor")
    step = _number(channel, "ChannelSensitivity") * (1.0 if correction is None else float(correction))
    return unit * step, unit * float(value(channel, "ChannelBaseline") or 0)


def _skew(channel: Dataset, sampling_rate: float) -> int:
    """Return the delay of the channel, rounded to samples."""
    samples = value(channel, "ChannelSampleSkew")
    if samples is None:
        samples = float(value(channel, "ChannelTimeSkew") or 0) * sampling_rate
    return round(float(samples))


def _device(dataset: Dataset) -> str | None:
    return plain_text(" ".join(text(dataset, name) for name in ("Manufacturer", "ManufacturerModelName")))


def _indication(dataset: Dataset) -> str | None:
    """Return the reason for the procedure, else its description: of the file, else of its first request."""
    sources = [dataset, *items(dataset, "RequestAttributesSequence")[:1]]
    keywords = ("ReasonForTheRequestedProcedure", "RequestedProcedureDescription")
    said = (text(source, keyword, _REMARK_BYTES) for keyword in keywords for source in sources)
    return plain_text(next(filter(None, said), ""))


def _sex(dataset: Dataset) -> Sex | None:
    sexes: dict[str, Sex] = {"F": "F", "M": "M"}
    return sexes.get(text(dataset, "PatientSex"))
