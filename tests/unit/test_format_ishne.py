"""ISHNE Holter files: twelve leads in millivolts, and a reason for what cannot be trusted."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from stence import ecg
from stence.ecg import LEADS, Reason, Recording, UnusableEcgError
from stence.ecg.formats.limits import Limits
from support.ecgs import heartbeats
from support.ishne import crc_ccitt, ishne

SAMPLES = heartbeats(1).T
STORED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
EIGHT = SAMPLES[:, [LEADS.index(lead) for lead in STORED]]


def decode(content: bytes, limits: Limits = ecg.formats.DEFAULT_LIMITS) -> Recording:
    return ecg.decode("1.ecg", {"1.ecg": content}, limits)


def reason_of(content: bytes) -> Reason:
    with pytest.raises(UnusableEcgError) as caught:
        decode(content)
    return caught.value.finding.reason


def test_signal_is_scaled_by_the_resolution():
    recording = decode(ishne(SAMPLES, LEADS))
    np.testing.assert_allclose(recording.signal, SAMPLES.T * 0.0025, rtol=1e-6)
    assert (recording.sampling_rate, recording.format) == (500, "ISHNE")


def test_particulars():
    recording = decode(ishne(SAMPLES, LEADS))
    assert recording.patient_id == "P-17"
    assert recording.acquired_at == datetime(2020, 3, 2, 8, 30, 15)
    assert recording.age == pytest.approx(70, abs=0.01)
    assert (recording.sex, recording.device) == ("F", "H12+ recorder")


def test_leads_are_found_by_their_codes_in_any_order():
    np.testing.assert_array_equal(
        decode(ishne(SAMPLES[:, ::-1], LEADS[::-1])).signal, decode(ishne(SAMPLES, LEADS)).signal
    )


def test_eight_leads_give_twelve():
    signal = decode(ishne(EIGHT, STORED)).signal
    np.testing.assert_allclose(signal, SAMPLES.T * 0.0025, atol=0.003)


def test_three_leads_are_too_few():
    assert reason_of(ishne(SAMPLES[:, :3], LEADS[:3])) is Reason.MISSING_LEADS


def test_a_lead_fault_is_an_invalid_sample():
    faulty = SAMPLES.copy()
    faulty[7, 3] = -32768
    assert np.argwhere(np.isnan(decode(ishne(faulty, LEADS)).signal)).tolist() == [[3, 7]]


def test_another_reader_agrees(tmp_path):
    """ecgdatakit reads the same samples and names."""
    parser = pytest.importorskip("ecgdatakit.parsing.parsers.ishne_holter")
    path = tmp_path / "1.ecg"
    path.write_bytes(ishne(SAMPLES, LEADS))
    record = parser.ISHNEHolterParser().parse(path)
    assert [lead.label for lead in record.leads] == list(LEADS)
    steps = np.stack([lead.samples for lead in record.leads])
    np.testing.assert_allclose(decode(path.read_bytes()).signal, steps * 0.0025, rtol=1e-6)


@pytest.mark.parametrize("remark", [b"", b"a remark of the hospital"])
def test_the_number_of_samples_may_count_all_leads(remark: bytes):
    recording = decode(ishne(SAMPLES, LEADS, declared=SAMPLES.size, remark=remark))
    assert recording.signal.shape == (12, len(SAMPLES))


def test_the_checksum_is_checked():
    content = ishne(SAMPLES, LEADS)
    swapped = content[:8] + content[8:10][::-1] + content[10:]
    assert decode(swapped).signal.shape == (12, 5000)  # the standard leaves the byte order open
    assert decode(ishne(SAMPLES, LEADS, checksum=0)).patient_id == "P-17"  # some recorders write none
    assert reason_of(content.replace(b"P-17", b"P-18")) is Reason.CHECKSUM_MISMATCH


def test_the_writer_uses_the_known_checksum():
    assert crc_ccitt(b"123456789") == 0x29B1


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"declared": 5001}, Reason.TRUNCATED),
        ({"declared": 2**31 - 1}, Reason.IMPLAUSIBLE_SIZE),
        ({"declared": -1}, Reason.IMPLAUSIBLE_SIZE),
        ({"resolution": 0}, Reason.UNKNOWN_UNIT),
        ({"resolution": -9}, Reason.UNKNOWN_UNIT),
        ({"rate": 0}, Reason.BROKEN_HEADER),
        ({"patient": b"M\xfcller-3"}, Reason.UNREADABLE_PATIENT),
    ],
)
def test_headers_that_lie_are_refused(changed: dict[str, int], reason: Reason):
    assert reason_of(ishne(SAMPLES, LEADS, **changed)) is reason


@pytest.mark.parametrize("size", [8, 100, 521, 522, 5000])
def test_cut_files_are_truncated(size: int):
    assert reason_of(ishne(SAMPLES, LEADS)[:size]) is Reason.TRUNCATED


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (156, 13, Reason.IMPLAUSIBLE_SIZE),
        (156, 0, Reason.IMPLAUSIBLE_SIZE),
        (22, 600, Reason.BROKEN_HEADER),
        (10, 4, Reason.BROKEN_HEADER),
    ],
)
def test_layouts_that_contradict_themselves(at: int, value: int, reason: Reason):
    content = bytearray(ishne(SAMPLES, LEADS, checksum=0))
    content[at : at + 2] = value.to_bytes(2, "little")
    assert reason_of(bytes(content)) is reason


def test_dates_that_do_not_exist_are_none():
    recording = decode(ishne(SAMPLES, LEADS, born=(31, 2, 1950)))
    assert recording.age is None
    assert recording.acquired_at is not None
