"""MFER: every data type, byte order and block length gives the same signal; other rules are refused."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from stence import ecg
from stence.ecg import Reason, UnusableEcgError
from stence.ecg.formats import Limits
from support import mfer, scp
from support.ecgs import heartbeats
from support.mfer import element

STEPS = heartbeats(5) // 5
"""Steps of 5 uV."""
CODES = [scp.CODES[lead] for lead in ecg.LEADS]
EIGHT = [0, 1, 6, 7, 8, 9, 10, 11]


def file(**changes: object) -> mfer.Mfer:
    return replace(mfer.Mfer(STEPS, CODES), **changes)


def decoded(content: bytes, limits: Limits | None = None) -> ecg.Recording:
    return ecg.decode("any.bin", {"any.bin": content}, *([limits] if limits else []))


def reason_of(content: bytes, limits: Limits | None = None) -> Reason:
    with pytest.raises(UnusableEcgError) as caught:
        decoded(content, limits)
    return caught.value.finding.reason


def fitting(data_type: int) -> np.ndarray:
    """The steps as far as the type has room for them."""
    info = mfer.TYPES[data_type]
    steps = STEPS if info[0] in "if" else np.abs(STEPS)
    return steps % 100 if info[1] == "1" else steps


@pytest.mark.parametrize("little", [False, True])
@pytest.mark.parametrize("data_type", mfer.TYPES)
def test_every_data_type_and_byte_order(little: bool, data_type: int, tmp_path: Path):
    steps = fitting(data_type)
    path = tmp_path / "ecg.mwf"
    path.write_bytes(file(signal=steps, little=little, data_type=data_type).encoded())
    recording = ecg.read(path)
    assert (recording.format, recording.sampling_rate) == ("MFER", 500)
    np.testing.assert_allclose(recording.signal, steps * 0.005, rtol=1e-6, atol=1e-7)
    parser = pytest.importorskip("ecgdatakit.parsing.parsers.mfer")
    for lead, ours in zip(parser.MFERParser().parse(path).leads, recording.signal, strict=True):
        np.testing.assert_allclose(ours, lead.samples * 0.005, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("block", [1, 500, 5000])
def test_every_block_length(block: int):
    np.testing.assert_allclose(decoded(file(block=block).encoded()).signal, STEPS * 0.005, atol=1e-6)


def test_eight_stored_leads():
    content = file(signal=STEPS[EIGHT], leads=[CODES[row] for row in EIGHT]).encoded()
    np.testing.assert_allclose(decoded(content).signal, STEPS * 0.005, atol=0.0101)


def test_a_channel_may_have_its_own_resolution():
    signal = decoded(file(own_resolutions={6: (0, -6, 10)}).encoded()).signal
    np.testing.assert_allclose(signal[6], STEPS[6] * 0.01, atol=1e-6)
    np.testing.assert_allclose(signal[7], STEPS[7] * 0.005, atol=1e-6)


@pytest.mark.parametrize(("interval", "rate"), [((0, 0, 500), 500), ((0, 2, 5), 500), ((1, -3, 4), 250)])
def test_rate_as_frequency_or_interval(interval: tuple[int, int, int], rate: float):
    assert decoded(file(interval=interval).encoded()).sampling_rate == pytest.approx(rate)


def test_null_values_are_nan():
    steps = STEPS.copy()
    steps[3, 70:80] = -32768
    plain = file(signal=steps)
    signal = decoded(replace(plain, more=element(0x12, plain.number("h", -32768))).encoded()).signal
    assert np.isnan(signal[3, 70:80]).all()
    assert np.isnan(signal).sum() == 10


@pytest.mark.parametrize("little", [False, True])
def test_particulars(little: bool):
    plain = file(little=little)
    more = [
        element(0x82, b"A-7"),
        element(0x81, b"Name"),
        element(0x83, b"\x3c" + plain.number("HHBB", 0, 1960, 5, 1)),
        element(0x84, b"\2"),
        element(0x85, plain.number("HBBBBBHH", 2020, 5, 1, 13, 5, 9, 250, 7)),
        element(0x17, b"Acme^CART^1.0^SN1"),
        element(0x11, b"HPF 0.05 Hz"),
    ]
    recording = decoded(replace(plain, more=b"".join(more)).encoded())
    assert (recording.patient_id, recording.sex) == ("A-7", "F")
    assert recording.age == pytest.approx(60, abs=0.01)
    assert recording.acquired_at == datetime(2020, 5, 1, 13, 5, 9, 250_007)
    assert (recording.device, recording.device_serial) == ("Acme CART", "SN1")
    assert recording.filters == "HPF 0.05 Hz"


@pytest.mark.parametrize(("years", "age"), [(61, 61), (0, None), (255, None)])
def test_age_without_a_date_of_birth(years: int, age: float | None):
    assert decoded(file(more=element(0x83, bytes([years]) + bytes(6))).encoded()).age == age


def test_a_patient_number_in_declared_utf_8():
    more = element(0x03, b"UTF-8") + element(0x82, "Pä".encode())
    assert decoded(file(more=more).encoded()).patient_id == "Pä"


@pytest.mark.parametrize(
    "more",
    [
        element(0x82, "Pä".encode()),
        element(0x03, b"UTF-8") + element(0x82, b"P\xe4"),
        element(0x82, b"P1") + element(0x82, b"P2"),
        element(0x82, b"P" * 2000),
        element(0x82, b"P\0001"),
    ],
    ids=["undeclared", "not UTF-8", "two", "long", "NUL"],
)
def test_an_uncertain_patient_is_refused(more: bytes):
    assert reason_of(file(more=more).encoded()) == Reason.UNREADABLE_PATIENT


def number(size: str, value: int) -> bytes:
    return struct.pack("<" + size, value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (file(kind=2).encoded(), Reason.UNSUPPORTED_FORMAT),
        (file(more=element(0x0E, number("H", 1) + bytes(8))).encoded(), Reason.UNSUPPORTED_FORMAT),
        (file(more=element(0x0D, number("h", 9))).encoded(), Reason.UNSUPPORTED_FORMAT),
        (file(more=element(0x43, number("h", 9))).encoded(), Reason.UNSUPPORTED_FORMAT),
        (file(more=element(0x0A, b"\x09")).encoded(), Reason.UNSUPPORTED_FORMAT),
        (file(interval=(2, -3, 2)).encoded(), Reason.UNSUPPORTED_FORMAT),
        (file(interval=(1, -3, 0)).encoded(), Reason.BROKEN_HEADER),
        (file(interval=(1, -3, -2)).encoded(), Reason.BROKEN_HEADER),
        (file(resolution=(1, -6, 5)).encoded(), Reason.UNKNOWN_UNIT),
        (file(resolution=(0, -6, 0)).encoded(), Reason.UNKNOWN_UNIT),
        (file(leads=[1] * 12).encoded(), Reason.DOUBLED_LEAD),
        (file(leads=[*CODES[:11], 99]).encoded(), Reason.MISSING_LEADS),
        (file(more=element(0x05, b"\xff")).encoded(), Reason.IMPLAUSIBLE_SIZE),
        (file(more=element(0x06, number("I", 51))).encoded(), Reason.TRUNCATED),
        (file(more=element(0x06, number("I", 49))).encoded(), Reason.BROKEN_HEADER),
        (file(more=element(0x06, number("I", 2**31))).encoded(), Reason.IMPLAUSIBLE_SIZE),
        (file(more=element(0x04, number("I", 0))).encoded(), Reason.IMPLAUSIBLE_SIZE),
        (file().encoded()[:-500], Reason.TRUNCATED),
        (mfer.PREAMBLE + mfer.END, Reason.UNSUPPORTED_FORMAT),
        (mfer.PREAMBLE + element(8, b"\1") + mfer.END, Reason.TRUNCATED),
        (mfer.PREAMBLE + b"\x1e\x80", Reason.UNSUPPORTED_FORMAT),
        (mfer.PREAMBLE + b"\x1e\x89" + b"\xff" * 9, Reason.UNSUPPORTED_FORMAT),
        (mfer.PREAMBLE + b"\x1e\x88" + b"\xff" * 8, Reason.TRUNCATED),
        (mfer.PREAMBLE + b"\x3f\x81\x01\x00", Reason.UNSUPPORTED_FORMAT),
        (file(end=element(0x1E, bytes(24))).encoded(), Reason.UNSUPPORTED_FORMAT),
    ],
)
def test_what_contradicts_itself_or_is_not_known_is_refused(content: bytes, reason: Reason):
    assert reason_of(content) == reason


def test_leads_of_different_rates_are_refused():
    other = element(0x3F, element(0x0B, struct.pack("<Bbh", 1, -3, 4)), 3)
    assert (
        reason_of(file().encoded().replace(b"\x1e\x83", other + b"\x1e\x83", 1)) == Reason.UNSUPPORTED_FORMAT
    )


@pytest.mark.parametrize("hostile", [b"\0\0" * 300, element(0x3F, b"\0\0" * 300, 1)], ids=["file", "channel"])
def test_elements_are_bounded(hostile: bytes):
    assert reason_of(file(more=hostile).encoded(), Limits(elements=250)) == Reason.IMPLAUSIBLE_SIZE
    assert decoded(file(more=hostile).encoded(), Limits(elements=500)).signal.shape == (12, 5000)


def test_a_new_number_of_channels_forgets_what_was_said_of_them():
    before = element(0x05, b"\x0c") + element(0x3F, element(0x0C, struct.pack("<Bbh", 0, -6, 99)), 2)
    content = mfer.PREAMBLE + element(1, b"\1") + before + file().encoded()[len(mfer.PREAMBLE) :]
    np.testing.assert_allclose(decoded(content).signal, STEPS * 0.005, atol=1e-6)
