"""Philips Sierra ECG XML 1.03 to 1.04.02: waveforms compressed by XLI, or plain 16-bit samples."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from stence.ecg import machine
from stence.ecg.formats.calibration import without_pulse
from stence.ecg.formats.limits import Limits, check_rate, check_size
from stence.ecg.formats.xli import decompress
from stence.ecg.formats.xml_document import (
    age_at,
    attribute,
    binary,
    moment,
    number,
    numbers,
    only_patient,
    parse,
    required,
    required_number,
    root_name,
    text,
    whole,
)
from stence.ecg.leads import complete, find_leads, lead_of_name
from stence.ecg.reasons import Reason, refuse
from stence.ecg.recording import LEADS, Recording, Sex

NAME = "Philips Sierra XML"
_VERSIONS = frozenset({"1.03", "1.04", "1.04.01", "1.04.02"})
_SIGNAL = "dataacquisition/signalcharacteristics"
_WAVEFORM = "waveforms/parsedwaveforms"
_INTERPRETATION = "interpretations/interpretation"
_STANDARD_SET = "STD-12"
_SEXES: dict[str, Sex] = {"female": "F", "male": "M"}
_MEASUREMENTS = {
    "heart_rate": "heartrate",
    "rr_ms": "rrint",
    "p_ms": "pdur",
    "pr_ms": "print",
    "qrs_ms": "qrsdur",
    "qt_ms": "qtint",
    "qtc_ms": "qtcb",
    "p_axis": "pfrontaxis",
    "qrs_axis": "qrsfrontaxis",
    "t_axis": "tfrontaxis",
}
_MEASUREMENTS_103 = _MEASUREMENTS | {
    "pr_ms": "meanprint",
    "qrs_ms": "meanqrsdur",
    "qt_ms": "meanqtint",
    "qtc_ms": "meanqtc",
}


def recognises(content: bytes) -> bool:
    """Return True if the root element is ``restingecgdata``."""
    return root_name(content) == "restingecgdata"


def decode(content: bytes, limits: Limits) -> Recording:
    """Decode the parsed waveforms, in millivolts.

    Raises UnusableEcgError for another version of the format, another coding of the samples, a document or a
    waveform that is broken or too short, and a missing scale.
    """
    root = parse(content, limits)
    _check_version(root)
    acquired, person = _acquired_at(root), root.find("patient/generalpatientdata")
    machine_path, acquirer = "dataacquisition/machine", root.find("dataacquisition/acquirer")
    return Recording(
        _signal(root, limits),
        _rate(root),
        patient_id=only_patient(element.text or "" for element in root.iterfind("patient//patientid")),
        acquired_at=acquired,
        device=text(root, machine_path) or None,
        sex=_SEXES.get(text(person, "sex").lower()),
        age=_age(person, acquired),
        site=text(acquirer, "institutionname") or text(acquirer, "facilityname") or None,
        indication=text(root, "orderinfo/reasonfororder") or None,
        format=NAME,
        device_serial=attribute(root, machine_path, "machineid") or None,
        filters=_filters(root),
        measurements=_measurements(root),
        statements=tuple(_statements(root)),
    )


def _check_version(root: Element) -> None:
    version = text(root, "documentinfo/documentversion")
    if version not in _VERSIONS:
        raise refuse(Reason.UNSUPPORTED_FORMAT, f"Sierra ECG XML of version {version[:16]!r}")


def _rate(root: Element) -> float:
    """Return the sampling rate in Hz."""
    rate = required_number(root, f"{_SIGNAL}/samplingrate")
    check_rate(rate)
    return rate


def _signal(root: Element, limits: Limits) -> NDArray[np.float32]:
    """Return the twelve leads (12, n) in millivolts."""
    names = _lead_names(root)
    milliseconds = required(number(attribute(root, _WAVEFORM, "durationperchannel")), "durationperchannel")
    count = whole(milliseconds * _rate(root) / 1000, "the number of samples")
    check_size(len(names), count, limits)
    _check_coding(root)
    stored = [lead_of_name(name) for name in names]
    data, scale = binary(root, _WAVEFORM), _scale(root)
    if _compression(root) == "XLI":
        steps = _reconstructed(decompress(data, len(names), count), find_leads(stored))
    else:
        steps = _plain(data, stored, count)
    return without_pulse(steps * scale)


def _lead_names(root: Element) -> list[str]:
    """Return the stored leads: the labels of 1.04, else those of the standard set."""
    labels = attribute(root, _WAVEFORM, "leadlabels").split()
    if labels:
        count = whole(required(number(attribute(root, _WAVEFORM, "numberofleads")), "numberofleads"), "leads")
        return labels[: max(0, count)]
    channels = number(text(root, f"{_SIGNAL}/numberchannelsvalid"))
    lead_set = text(root, f"{_SIGNAL}/leadset") or text(root, f"{_SIGNAL}/acquisitiontype")
    if channels != len(LEADS) or lead_set != _STANDARD_SET:
        raise refuse(Reason.UNSUPPORTED_FORMAT, "the Sierra document does not name the leads of its waveform")
    return list(LEADS)


def _check_coding(root: Element) -> None:
    """Raise UnusableEcgError unless the samples are signed 16-bit integers around 0 in Base64."""
    characteristics = root.find(_SIGNAL)
    plain = (
        attribute(root, _WAVEFORM, "dataencoding") == "Base64"
        and text(characteristics, "bitspersample") in ("", "16")
        and number(text(characteristics, "signaloffset") or "0") == 0
        and text(characteristics, "signalsigned") in ("", "True")
    )
    if not plain or _compression(root) not in ("XLI", "Uncompressed", "None"):
        raise refuse(Reason.UNSUPPORTED_FORMAT, "the Sierra waveform is coded in another way than is read")


def _compression(root: Element) -> str:
    """Return the method: ``compression`` in 1.04, ``compressmethod`` in 1.03."""
    named = attribute(root, _WAVEFORM, "compression") or attribute(root, _WAVEFORM, "compressmethod")
    return named or "Uncompressed"


def _scale(root: Element) -> np.float32:
    """Return millivolts per step: ``resolution`` in 1.04, ``signalresolution`` in 1.03, in microvolts."""
    found = (number(text(root, f"{_SIGNAL}/{name}")) for name in ("resolution", "signalresolution"))
    step = next((value for value in found if value is not None), 0.0)
    if step <= 0:
        raise refuse(Reason.UNKNOWN_UNIT, "the Sierra document has no resolution in microvolts")
    return np.float32(step / 1000)


def _reconstructed(stored: NDArray[np.int16], leads: dict[str, int]) -> NDArray[np.float32]:
    """Return the twelve leads (12, n) in steps from the stored ones.

    XLI stores III, aVR, aVL and aVF as what is left of them after their prediction from other limb leads.
    """
    if len(leads) < len(LEADS):
        raise refuse(Reason.MISSING_LEADS, f"{len(leads)} leads in the Sierra waveform", value=len(leads))
    signal = stored[list(leads.values())].astype(np.int32)
    one, two = signal[0], signal[1]
    three = signal[2] = two - one - signal[2]
    signal[3] = -((one + two) // 2) - signal[3]
    signal[4] = (one - three) // 2 - signal[4]
    signal[5] = (two + three) // 2 - signal[5]
    return signal.astype(np.int16).astype(np.float32)


def _plain(data: bytes, stored: list[str | None], count: int) -> NDArray[np.float32]:
    """Return the twelve leads (12, n) in steps from uncompressed samples, one lead after the other.

    The augmented leads and III follow from I and II, since writers differ in how they store them.
    """
    there = len(data) // 2 // len(stored)
    if there < count:
        raise refuse(Reason.TRUNCATED, f"a lead holds {there} of {count} samples", value=there)
    leads = find_leads([lead if lead not in LEADS[2:6] else None for lead in stored])
    samples = np.frombuffer(data, "<i2", len(stored) * count).reshape(len(stored), count)
    return complete(list(leads), samples[list(leads.values())].astype(np.float32))


def _acquired_at(root: Element) -> datetime | None:
    day, time = (attribute(root, "dataacquisition", name) for name in ("date", "time"))
    return moment(f"{day} {time}", "%Y-%m-%d %H:%M:%S")


def _age(person: Element | None, acquired: datetime | None) -> float | None:
    """Return the age in years. ``defaultage`` is a setting of the machine, not of the patient."""
    stated = number(text(person, "age/years"))
    return age_at(moment(text(person, "age/dateofbirth"), "%Y-%m-%d"), acquired) if stated is None else stated


def _filters(root: Element) -> str | None:
    """Describe the filters of the stored samples, not those of the printed report."""
    signal = root.find(_SIGNAL)
    low, _, high = text(signal, "signalbandwidth").partition("-")
    notched = attribute(root, _WAVEFORM, "notchfiltered") == "True"
    mains = number(text(signal, "notchfilterfreqs") or text(signal, "acsetting")) if notched else None
    return machine.filters(
        number(text(signal, "hipass") or low), number(text(signal, "lowpass") or high), mains
    )


def _measurements(root: Element) -> dict[str, float]:
    """Return the measurements of the interpretation, by the names of 1.03 or those of later versions."""
    first = numbers(root.find(f"{_INTERPRETATION}/interpretationmeasurements"), _MEASUREMENTS_103)
    return first | numbers(root.find(f"{_INTERPRETATION}/globalmeasurements"), _MEASUREMENTS)


def _statements(root: Element) -> Iterator[str]:
    """Return the statements without their criteria, then the severity."""
    for statement in root.iterfind(f"{_INTERPRETATION}/statement"):
        yield text(statement, "leftstatement")
    yield text(root, f"{_INTERPRETATION}/severity").strip("- ")
