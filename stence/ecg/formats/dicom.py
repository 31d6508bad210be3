"""DICOM waveforms: 12-lead, general and general 32-bit ECG storage (PS3.3 A.34.3, A.34.4, A.34.10)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import (
    EncapsulatedPDFStorage,
    General32bitECGWaveformStorage,
    GeneralECGWaveformStorage,
    TwelveLeadECGWaveformStorage,
)

from stence.dicom import PARTICULARS, TooManyElementsError, acquired_at, age, patient_number
from stence.domain.text import plain_text
from stence.ecg.formats import dicom_annotations, dicom_file
from stence.ecg.formats.dicom_elements import Item
from stence.ecg.formats.limits import Limits, check_rate, check_size, millivolts
from stence.ecg.leads import complete, find_leads, is_lead_code, lead_of_code, lead_of_name, shift
from stence.ecg.machine import filters
from stence.ecg.reasons import Reason, refuse
from stence.ecg.recording import Recording, Sex

NAME = "DICOM"
recognises = dicom_file.recognises
MAX_GROUPS = 16
"""Largest number of multiplex groups. Usual are a rhythm, a median beat, and perhaps strips of 2.5 s."""
_ECG_CLASSES = (TwelveLeadECGWaveformStorage, GeneralECGWaveformStorage, General32bitECGWaveformStorage)
_SAMPLE_TYPES = {"SB": "i1", "UB": "u1", "SS": "i2", "US": "u2", "SL": "i4", "UL": "u4"}
_BITS = {"i1": 8, "u1": 8, "i2": 16, "u2": 16, "i4": 32, "u4": 32}


def decode(content: bytes, limits: Limits) -> Recording:
    """Decode the longest rhythm group with twelve leads, in millivolts.

    Raises UnusableEcgError if the file is no ECG, is truncated, has no such group, or lacks the scale of a
    lead. Raises PatientIdError for an invalid patient number. Other exceptions of ``pydicom`` pass through.
    """
    try:
        return _decode(*dicom_file.opened(content, limits), limits)
    except TooManyElementsError as error:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, str(error)) from None


def _decode(dataset: Item, byte_order: str, limits: Limits) -> Recording:
    _check_class(dataset.text("SOPClassUID"))
    group, channels = _rhythm(dataset, limits)
    leads = find_leads([_lead(channel) for channel in channels])
    particulars = dataset.as_pydicom(PARTICULARS)
    return Recording(
        complete(list(leads), _samples(group, channels, leads, byte_order, limits)),
        _rate(group),
        patient_id=patient_number(particulars),
        acquired_at=acquired_at(particulars),
        device=_words(dataset, "Manufacturer", "ManufacturerModelName"),
        sex=_sex(dataset),
        age=age(particulars),
        site=_words(dataset, "InstitutionName"),
        indication=_indication(dataset),
        format=NAME,
        device_serial=_words(dataset, "DeviceSerialNumber"),
        filters=_filters(channels[next(iter(leads.values()))]),
        **dicom_annotations.read(dataset),
    )


def _check_class(sop_class: str) -> None:
    if sop_class == EncapsulatedPDFStorage:
        raise refuse(Reason.UNSUPPORTED_FORMAT, "an ECG printed as PDF in DICOM; export waveforms instead")
    if sop_class not in _ECG_CLASSES:
        raise refuse(Reason.UNSUPPORTED_FORMAT, "a DICOM file, but not an ECG waveform")


def _rhythm(dataset: Item, limits: Limits) -> tuple[Item, list[Item]]:
    """Return the multiplex group to read, and its channels, without median beats.

    Most leads come first, then original before derived, then the longest group.
    """
    groups = dataset.items("WaveformSequence")
    if len(groups) > MAX_GROUPS:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, f"{len(groups)} waveforms in one file", value=len(groups))
    rhythms = [(group, _channels(group, limits)) for group in groups if not _is_median_beat(group)]
    if not rhythms:
        raise refuse(Reason.MISSING_LEADS, "the DICOM file holds no rhythm recording", value=0)
    return max(rhythms, key=lambda rhythm: _preference(*rhythm))


def _channels(group: Item, limits: Limits) -> list[Item]:
    channels = group.items("ChannelDefinitionSequence")
    if channels:
        check_size(len(channels), 1, limits)
    return channels


def _is_median_beat(group: Item) -> bool:
    return "MEDIAN" in group.text("MultiplexGroupLabel").upper()


def _preference(group: Item, channels: list[Item]) -> tuple[int, bool, float]:
    return (
        len({_lead(channel) for channel in channels} - {None}),
        group.text("WaveformOriginality") != "DERIVED",
        _number(group, "NumberOfWaveformSamples") / _rate(group),
    )


def _rate(group: Item) -> float:
    """Return the sampling frequency in Hz."""
    rate = _number(group, "SamplingFrequency")
    check_rate(rate)
    return rate


def _number(item: Item, keyword: str) -> float:
    """Return a required number."""
    try:
        number = item.number(keyword)
    except ValueError:
        number = None
    if number is None:
        raise refuse(Reason.BROKEN_HEADER, f"the DICOM file does not give {keyword} as a number")
    return number


def _whole(dataset: Item, keyword: str) -> int:
    """Return a required integer."""
    number = _number(dataset, keyword)
    if not number.is_integer():
        raise refuse(Reason.BROKEN_HEADER, f"{keyword} is not an integer in the DICOM file")
    return int(number)


def _lead(channel: Item) -> str | None:
    """Return the channel's lead: from the standard code if there is one, else from the free-text label."""
    source = next(iter(channel.items("ChannelSourceSequence")), None)
    code = source.text("CodeValue") if source else ""
    if is_lead_code(code):
        return lead_of_code(code)
    return lead_of_name((source and source.text("CodeMeaning")) or channel.text("ChannelLabel"))


def _samples(
    group: Item, channels: list[Item], leads: Mapping[str, int], byte_order: str, limits: Limits
) -> NDArray[np.float32]:
    """Return the leads (k, n) in millivolts, with NaN for padding."""
    digital = _digital(group, len(channels), byte_order, limits)
    padding = group.raw("WaveformPaddingValue")
    signal = np.empty((len(leads), len(digital)), dtype=np.float32)
    for row, (lead, index) in enumerate(leads.items()):
        scale, baseline = _scale(channels[index], lead)
        stored = digital[:, index].copy()
        gaps = stored == np.frombuffer(padding, digital.dtype, count=1) if padding else None
        if gaps is not None:
            stored[gaps] = 0
        signal[row] = _significant(stored, channels[index]) * scale + baseline
        if gaps is not None:
            signal[row, gaps] = np.nan
        shift(signal[row], _skew(channels[index], _rate(group)))
    return signal


def _digital(group: Item, described: int, byte_order: str, limits: Limits) -> NDArray[np.integer]:
    """Return all channels (n, k) as stored integers."""
    channels, count = _whole(group, "NumberOfWaveformChannels"), _whole(group, "NumberOfWaveformSamples")
    check_size(channels, count, limits)
    if channels != described:
        raise refuse(Reason.BROKEN_HEADER, f"{channels} channels are declared, another number is described")
    sample_type = _SAMPLE_TYPES.get(group.text("WaveformSampleInterpretation"), "")
    if group.number("WaveformBitsAllocated") != _BITS.get(sample_type):
        raise refuse(Reason.UNSUPPORTED_FORMAT, "the DICOM waveform's samples are not plain integers")
    dtype, data = np.dtype(byte_order + sample_type), group.raw("WaveformData")
    there = len(data) // (channels * dtype.itemsize)
    if there < count:
        raise refuse(Reason.TRUNCATED, f"the waveform holds {there} of {count} samples", value=there)
    return np.frombuffer(data, dtype, count * channels).reshape(count, channels)


def _significant(stored: NDArray[np.integer], channel: Item) -> NDArray[np.integer]:
    """Return the samples (n,) without the bits above Waveform Bits Stored (PS3.3 C.10.9.1.4.2).

    These repeat the sign, or are zeros. Anything else is a wrong declaration, which then does not count.
    """
    allocated = 8 * stored.dtype.itemsize
    bits = int(channel.number("WaveformBitsStored") or allocated)
    if not 1 <= bits < allocated:
        return stored
    unused = allocated - bits
    samples = (stored.astype(stored.dtype.newbyteorder("=")) << unused) >> unused
    above = stored >> bits
    return stored if above.any() else samples


def _scale(channel: Item, lead: str) -> tuple[float, float]:
    """Return millivolts per step and at sample value 0 (PS3.3 C.10.9.1.4.3).

    They are sensitivity * correction, and the baseline.
    """
    units = channel.items("ChannelSensitivityUnitsSequence")
    if not units or not channel.raw("ChannelSensitivity"):
        raise refuse(Reason.UNKNOWN_UNIT, f"lead {lead} has no sensitivity in volts", lead)
    unit = millivolts(units[0].text("CodeValue"), lead)
    correction = channel.number("ChannelSensitivityCorrectionFactor")
    step = _number(channel, "ChannelSensitivity") * (1.0 if correction is None else correction)
    if step == 0 or not math.isfinite(step):
        raise refuse(Reason.UNKNOWN_UNIT, f"lead {lead} has a sensitivity of {step:g}", lead)
    return unit * step, unit * (channel.number("ChannelBaseline") or 0)


def _skew(channel: Item, sampling_rate: float) -> int:
    """Return the delay of the channel, rounded to samples."""
    samples = channel.number("ChannelSampleSkew")
    if samples is None:
        samples = (channel.number("ChannelTimeSkew") or 0) * sampling_rate
    return round(samples)


def _filters(channel: Item) -> str | None:
    """Describe the filters of a channel. A file that gives none, or no number, has no description."""
    keywords = ("FilterLowFrequency", "FilterHighFrequency", "NotchFilterFrequency")
    with suppress(ValueError):
        return filters(*(channel.number(keyword) for keyword in keywords))
    return None


def _words(dataset: Item, *keywords: str) -> str | None:
    said = (dicom_annotations.words(dataset, dataset, keyword) for keyword in keywords)
    return plain_text(" ".join(said))


def _indication(dataset: Item) -> str | None:
    """Return the reason for the procedure, else its description: of the file, else of its first request."""
    sources = [dataset, *dataset.items("RequestAttributesSequence")[:1]]
    keywords = ("ReasonForTheRequestedProcedure", "RequestedProcedureDescription")
    said = (dicom_annotations.words(dataset, source, word) for word in keywords for source in sources)
    return plain_text(next(filter(None, said), ""))


def _sex(dataset: Item) -> Sex | None:
    sexes: dict[str, Sex] = {"F": "F", "M": "M"}
    return sexes.get(dataset.text("PatientSex"))
