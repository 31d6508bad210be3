"""DICOM waveforms: 12-lead, general and general 32-bit ECG storage (PS3.3 A.34.3, A.34.4, A.34.10)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from io import BytesIO

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    General32bitECGWaveformStorage,
    GeneralECGWaveformStorage,
    TwelveLeadECGWaveformStorage,
)
from pydicom.valuerep import DT

from stence.domain.text import plain_text
from stence.ecg.formats.limits import check_rate, check_size, millivolts
from stence.ecg.leads import complete, find_leads, lead_of_code, lead_of_name, shift
from stence.ecg.reasons import Reason, refuse
from stence.ecg.recording import Recording, Sex

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
"""Odd values are judged here; pydicom's warnings would quote patient data."""

_ECG_CLASSES = (TwelveLeadECGWaveformStorage, GeneralECGWaveformStorage, General32bitECGWaveformStorage)
_TAGS = [
    "SOPClassUID",
    "AcquisitionDateTime",
    "TimezoneOffsetFromUTC",
    "Manufacturer",
    "ManufacturerModelName",
    "InstitutionName",
    "ReasonForTheRequestedProcedure",
    "RequestedProcedureDescription",
    "RequestAttributesSequence",
    "PatientID",
    "PatientSex",
    "PatientAge",
    "WaveformSequence",
]
_SAMPLE_TYPES = {"SB": "i1", "UB": "u1", "SS": "i2", "US": "u2", "SL": "i4", "UL": "u4"}
_BITS = {"i1": 8, "u1": 8, "i2": 16, "u2": 16, "i4": 32, "u4": 32}
_AGE = re.compile(r"(\d{1,3})([DWMY])")
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}


def recognises(content: bytes) -> bool:
    """Whether the bytes carry the DICOM mark; files without it are not guessed at."""
    return content[128:132] == b"DICM"


def decode(content: bytes) -> Recording:
    """The longest rhythm group that holds twelve leads, in millivolts.

    Raises UnusableEcgError if the file is no ECG, is truncated, has no such group, or does not give the
    scale of a lead. Other exceptions of ``pydicom`` pass through.
    """
    if DeflatedExplicitVRLittleEndian.encode() in content:  # a few kB could inflate without bound
        raise refuse(Reason.UNSUPPORTED_FORMAT, "DICOM in the deflated transfer syntax")
    dataset = pydicom.dcmread(BytesIO(content), specific_tags=_TAGS)
    if dataset.get("SOPClassUID") not in _ECG_CLASSES:
        raise refuse(Reason.UNSUPPORTED_FORMAT, "a DICOM file, but not an ECG waveform")
    group = _rhythm(dataset)
    leads = find_leads([_lead(channel) for channel in group.ChannelDefinitionSequence])
    little_endian = dataset.original_encoding[1]
    return Recording(
        complete(list(leads), _samples(group, leads, "<" if little_endian else ">")),
        float(group.SamplingFrequency),
        patient_id=_text(dataset, "PatientID"),
        acquired_at=_acquired_at(dataset),
        device=_device(dataset),
        sex=_sex(dataset),
        age=_age(dataset),
        site=plain_text(_text(dataset, "InstitutionName") or ""),
        indication=_indication(dataset),
    )


def _rhythm(dataset: Dataset) -> Dataset:
    """The multiplex group to read: no median beat; most leads, then original before derived, then longest."""
    groups = dataset.get("WaveformSequence") or []
    rhythms: list[Dataset] = [group for group in groups if not _is_median_beat(group)]
    if not rhythms:
        raise refuse(Reason.MISSING_LEADS, "the DICOM file holds no rhythm recording", value=0)
    return max(rhythms, key=_preference)


def _is_median_beat(group: Dataset) -> bool:
    return "MEDIAN" in str(group.get("MultiplexGroupLabel", "")).upper()


def _preference(group: Dataset) -> tuple[int, bool, float]:
    check_rate(float(group.SamplingFrequency))
    return (
        len({_lead(channel) for channel in group.ChannelDefinitionSequence} - {None}),
        group.get("WaveformOriginality") != "DERIVED",
        int(group.NumberOfWaveformSamples) / float(group.SamplingFrequency),
    )


def _lead(channel: Dataset) -> str | None:
    """By code, which is standard, before label, which is free text."""
    source = (channel.get("ChannelSourceSequence") or [Dataset()])[0]
    code = lead_of_code(str(source.get("CodeValue", "")))
    return code or lead_of_name(str(source.get("CodeMeaning") or channel.get("ChannelLabel") or ""))


def _samples(group: Dataset, leads: Mapping[str, int], byte_order: str) -> NDArray[np.float32]:
    """The leads (k, n) in millivolts, NaN for padding."""
    digital = _digital(group, byte_order)[list(leads.values())]
    padding = group.get("WaveformPaddingValue")
    signal = np.empty(digital.shape, dtype=np.float32)
    for row, (lead, index) in enumerate(leads.items()):
        channel = group.ChannelDefinitionSequence[index]
        scale, baseline = _scale(channel, lead)
        signal[row] = digital[row] * scale + baseline
        if padding is not None:
            signal[row, digital[row] == np.frombuffer(padding, digital.dtype, count=1)] = np.nan
        shift(signal[row], _skew(channel, float(group.SamplingFrequency)))
    return signal


def _digital(group: Dataset, byte_order: str) -> NDArray[np.integer]:
    """All channels (k, n) as stored."""
    channels, count = int(group.NumberOfWaveformChannels), int(group.NumberOfWaveformSamples)
    check_size(channels, count)
    if channels != len(group.ChannelDefinitionSequence):
        raise refuse(Reason.BROKEN_HEADER, f"{channels} channels are announced, another number is described")
    sample_type = _SAMPLE_TYPES.get(str(group.WaveformSampleInterpretation), "")
    if group.WaveformBitsAllocated != _BITS.get(sample_type):
        raise refuse(Reason.UNSUPPORTED_FORMAT, "the DICOM waveform's samples are not plain integers")
    dtype = np.dtype(byte_order + sample_type)
    there = len(group.WaveformData) // (channels * dtype.itemsize)
    if there < count:
        raise refuse(Reason.TRUNCATED, f"the waveform holds {there} of {count} samples", value=there)
    return np.frombuffer(group.WaveformData, dtype, count * channels).reshape(count, channels).T


def _scale(channel: Dataset, lead: str) -> tuple[float, float]:
    """Millivolts a step and at sample 0: sensitivity * correction, and baseline (PS3.3 C.10.9.1.4.3)."""
    units = channel.get("ChannelSensitivityUnitsSequence")
    if not units or channel.get("ChannelSensitivity") is None:
        raise refuse(Reason.UNKNOWN_UNIT, f"lead {lead} has no sensitivity in volts", lead)
    unit = millivolts(str(units[0].get("CodeValue", "")), lead)
    correction = channel.get("ChannelSensitivityCorrectionFactor")
    step = float(channel.ChannelSensitivity) * (1.0 if correction is None else float(correction))
    return unit * step, unit * float(channel.get("ChannelBaseline") or 0)


def _skew(channel: Dataset, sampling_rate: float) -> int:
    """By how many samples the channel began late, to the nearest."""
    samples = channel.get("ChannelSampleSkew")
    if samples is None:
        samples = float(channel.get("ChannelTimeSkew") or 0) * sampling_rate
    return round(float(samples))


def _text(dataset: Dataset, keyword: str) -> str | None:
    return str(dataset.get(keyword) or "").strip() or None


def _device(dataset: Dataset) -> str | None:
    names = [_text(dataset, keyword) for keyword in ("Manufacturer", "ManufacturerModelName")]
    return plain_text(" ".join(name for name in names if name))


def _indication(dataset: Dataset) -> str | None:
    """Why it was ordered, else what was ordered; of the file itself, else of the first request in it."""
    requests = dataset.get("RequestAttributesSequence")
    sources = [dataset, *(requests[:1] if isinstance(requests, Sequence) else [])]
    keywords = ("ReasonForTheRequestedProcedure", "RequestedProcedureDescription")
    said = (_text(source, keyword) for keyword in keywords for source in sources)
    return plain_text(next(filter(None, said), ""))


def _acquired_at(dataset: Dataset) -> datetime | None:
    """Aware where value or dataset name an offset from UTC; None unless it is exact to the minute."""
    text = _text(dataset, "AcquisitionDateTime") or ""
    if not re.match(r"\d{12}", text):
        return None
    offset = "" if re.search(r"[-+]\d{4}$", text) else _text(dataset, "TimezoneOffsetFromUTC") or ""
    try:
        moment = DT(text + offset)
    except ValueError:
        return None
    return datetime.combine(moment.date(), moment.timetz())


def _sex(dataset: Dataset) -> Sex | None:
    sexes: dict[str | None, Sex] = {"F": "F", "M": "M"}
    return sexes.get(_text(dataset, "PatientSex"))


def _age(dataset: Dataset) -> float | None:
    match = _AGE.fullmatch(_text(dataset, "PatientAge") or "")
    return int(match[1]) * _YEARS[match[2]] if match else None
