"""EDF and EDF+: written by edfio, with every field of the header also broken by hand."""

from __future__ import annotations

import datetime as dt

import edfio
import numpy as np
import pytest

from stence import ecg
from stence.ecg import LEADS, Reason, Recording, UnusableEcgError
from support.ecgs import heartbeats
from support.edf import channel, edf

SIGNAL = heartbeats(2) / 1000.0


@pytest.fixture(scope="module")
def content() -> bytes:
    return edf([channel(f"ECG {lead}", samples) for lead, samples in zip(LEADS, SIGNAL, strict=True)])


def plain(content: bytes, patient: bytes) -> bytes:
    """The file as plain EDF, with this text for the patient."""
    return (
        content[:8]
        + patient.ljust(80)
        + b"Cardio 9".ljust(80)
        + content[168:192]
        + bytes(44).replace(b"\0", b" ")
        + content[236:]
    )


def decode(content: bytes) -> Recording:
    return ecg.decode("1.edf", {"1.edf": content})


def reason_of(content: bytes) -> Reason:
    with pytest.raises(UnusableEcgError) as caught:
        decode(content)
    return caught.value.finding.reason


def test_signal_is_physical(content: bytes):
    recording = decode(content)
    np.testing.assert_allclose(recording.signal, SIGNAL, atol=1e-4)
    theirs = np.stack([signal.data for signal in edfio.read_edf(content).signals])
    np.testing.assert_allclose(recording.signal, theirs, atol=1e-6)
    assert (recording.sampling_rate, recording.format) == (500, "EDF")


def test_particulars_of_edf_plus(content: bytes):
    recording = decode(content)
    assert recording.patient_id == "MCH-0234567"
    assert recording.acquired_at == dt.datetime(2012, 5, 2, 8, 30, 15)
    assert recording.age == pytest.approx(61, abs=0.01)
    assert (recording.sex, recording.device) == ("F", "Cardio 9")
    assert recording.filters == "0.05 to 150 Hz, notch 50 Hz"


def test_unknown_particulars_are_none():
    patient, recording = edfio.Patient(), edfio.Recording()
    channels = [channel(lead, samples) for lead, samples in zip(LEADS, SIGNAL, strict=True)]
    read = decode(edf(channels, patient=patient, recording=recording))
    assert (read.patient_id, read.sex, read.age, read.acquired_at, read.device) == (None,) * 5


def test_the_patient_of_plain_edf_is_one_word(content: bytes):
    assert decode(plain(content, b"4711")).patient_id == "4711"
    assert reason_of(plain(content, b"4711 Harry")) is Reason.UNREADABLE_PATIENT
    assert reason_of(plain(content, b"M\xfcller")) is Reason.UNREADABLE_PATIENT
    assert decode(plain(content, b"")).patient_id is None


def test_other_channels_are_ignored_and_units_honoured():
    channels = [
        channel(f"EKG {lead}", samples * 1000, unit="uV") for lead, samples in zip(LEADS, SIGNAL, strict=True)
    ]
    channels.insert(3, channel("Resp", np.arange(1000.0), unit="l", rate=100))
    np.testing.assert_allclose(decode(edf(channels)).signal, SIGNAL, atol=1e-4)


def test_leads_of_other_rates_are_refused():
    channels = [channel(lead, samples) for lead, samples in zip(LEADS[:11], SIGNAL, strict=False)]
    assert reason_of(edf([*channels, channel("V6", SIGNAL[11, ::2], rate=250)])) is Reason.UNSUPPORTED_FORMAT


def test_an_eeg_is_no_ecg():
    assert (
        reason_of(edf([channel("EEG Fpz-Cz", SIGNAL[0]), channel("ECG", SIGNAL[1])])) is Reason.MISSING_LEADS
    )


def test_lead_without_voltage_is_refused():
    channels = [channel(lead, samples, unit="degC") for lead, samples in zip(LEADS, SIGNAL, strict=True)]
    assert reason_of(edf(channels)) is Reason.UNKNOWN_UNIT


SIGNALS = 12
SAMPLES_AT, PHYSICAL_MAX_AT, DIGITAL_MAX_AT = 256 + 216 * SIGNALS, 256 + 112 * SIGNALS, 256 + 128 * SIGNALS


@pytest.mark.parametrize(
    ("at", "field", "reason"),
    [
        (192, b"EDF+D", Reason.UNSUPPORTED_FORMAT),
        (236, b"-1      ", Reason.BROKEN_HEADER),
        (236, b"0       ", Reason.IMPLAUSIBLE_SIZE),
        (236, b"11      ", Reason.TRUNCATED),
        (236, b"99999999", Reason.IMPLAUSIBLE_SIZE),
        (244, b"0       ", Reason.BROKEN_HEADER),
        (252, b"13  ", Reason.BROKEN_HEADER),
        (252, b"9999", Reason.IMPLAUSIBLE_SIZE),
        (252, b"0   ", Reason.IMPLAUSIBLE_SIZE),
        (SAMPLES_AT, b"99999999", Reason.IMPLAUSIBLE_SIZE),
        (SAMPLES_AT, b"        ", Reason.BROKEN_HEADER),
        (PHYSICAL_MAX_AT, b"nan     ", Reason.UNKNOWN_UNIT),
        (PHYSICAL_MAX_AT, b"1e999   ", Reason.UNKNOWN_UNIT),
        (DIGITAL_MAX_AT, b"-32768  ", Reason.UNKNOWN_UNIT),
    ],
)
def test_headers_that_lie_are_refused(content: bytes, at: int, field: bytes, reason: Reason):
    assert reason_of(content[:at] + field + content[at + len(field) :]) is reason


def test_equal_physical_ends_are_refused(content: bytes):
    low_at = 256 + 104 * SIGNALS
    low = content[low_at : low_at + 8]
    assert reason_of(content[:PHYSICAL_MAX_AT] + low + content[PHYSICAL_MAX_AT + 8 :]) is Reason.UNKNOWN_UNIT


@pytest.mark.parametrize("size", [256, 3000, 10_000])
def test_cut_files_are_truncated(content: bytes, size: int):
    assert reason_of(content[:size]) is Reason.TRUNCATED
