"""Philips Sierra XML: XLI decompressed to the samples that another implementation finds."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from stence.ecg import LEADS, Reason, Recording, UnusableEcgError
from stence.ecg.formats import decode, limits, xml_document
from stence.ecg.formats import sierra as reader
from support.xml_ecgs import differences, sierra, twelve, xli

DATA = Path(__file__).parents[1] / "data" / "sierra"
STEPS = twelve()
PACKED = xli(differences(STEPS))
SIZE = (12, 1000)
ATTRIBUTES = {
    "dataencoding": "Base64",
    "compression": "XLI",
    "numberofleads": 12,
    "leadlabels": " ".join(LEADS),
    "durationperchannel": 2000,
}
CHARACTERISTICS = {"samplingrate": 500, "resolution": 5, "bitspersample": 16, "signalsigned": "True"}


def read(content: bytes) -> Recording:
    return decode("ecg.xml", {"ecg.xml": content})


def file(
    waveform: bytes = PACKED,
    attributes: Mapping[str, object] = MappingProxyType({}),
    characteristics: Mapping[str, object] = MappingProxyType({}),
    **more: str,
) -> bytes:
    return sierra(waveform, ATTRIBUTES | attributes, CHARACTERISTICS | characteristics, **more)


def refused(content: bytes) -> Reason:
    with pytest.raises(UnusableEcgError) as error:
        read(content)
    return error.value.finding.reason


def steps(ecg: Recording) -> np.ndarray:
    return np.rint(ecg.signal / 0.005).astype("<i2")


SIERRAECG_CRC = {"129DYPRG.xml": 115354187, "2020-5-18_15-48-11.xml": 3476051294}
"""CRC-32 of the little-endian samples that sierraecg 0.4.0 reads, up to the calibration pulse."""


def test_a_real_file_equals_another_implementation():
    ecg = read((DATA / "129DYPRG.xml").read_bytes())
    assert zlib.crc32(steps(ecg).tobytes()) == SIERRAECG_CRC["129DYPRG.xml"]
    assert ecg.acquired_at == datetime(2011, 12, 1, 7, 27, 34)
    assert (ecg.patient_id, ecg.sex, ecg.age, ecg.site) == ("1112010721168bdc", "M", 50, "GE EMS")
    assert (ecg.device, ecg.filters) == ("HeartstartMRx", "0.05 to 150 Hz")
    assert (ecg.measurements["qrs_ms"], ecg.measurements["qrs_axis"]) == (135, -21)
    assert ecg.statements[0] == "Sinus bradycardia"
    assert ecg.statements[-1] == "ABNORMAL ECG"


def test_limb_leads_of_a_real_file_obey_einthoven_and_goldberger():
    one, two, three, right, left, foot = steps(read((DATA / "129DYPRG.xml").read_bytes()))[:6].astype(int)
    assert np.abs(two - one - three).max() <= 2
    for lead, expected in ((right, -(one + two) / 2), (left, (one - three) / 2), (foot, (two + three) / 2)):
        assert np.abs(lead - expected).max() <= 2


def test_the_calibration_pulse_at_the_end_is_no_ecg():
    pulse = np.r_[np.zeros(50), np.full(100, 200), np.zeros(50)].astype("<i2")
    leads = {name: np.concatenate([samples[:800], pulse]) for name, samples in STEPS.items()}
    assert np.array_equal(steps(read(file(xli(differences(leads))))), [x[:800] for x in STEPS.values()])


def test_a_quiet_end_without_a_pulse_stays():
    leads = {name: np.r_[samples[:900], np.zeros(100)].astype("<i2") for name, samples in STEPS.items()}
    assert read(file(xli(differences(leads)))).signal.shape == SIZE


def test_equal_leads_stay_and_are_for_the_quality_check():
    waveform = np.zeros(12 * 1000, "<i2").tobytes()
    assert read(file(waveform, {"compression": "None"})).signal.shape == SIZE


@pytest.mark.shared
def test_a_real_file_of_1_04_equals_another_implementation(shared: Path):
    content = (shared / "data/sierra/2020-5-18_15-48-11.xml").read_bytes()
    ecg = read(content)
    assert zlib.crc32(steps(ecg).tobytes()) == SIERRAECG_CRC["2020-5-18_15-48-11.xml"]
    assert (ecg.sex, ecg.device_serial) == (None, "US71621374")
    assert ecg.age == pytest.approx(69.4, abs=0.05)
    assert (ecg.measurements["rr_ms"], ecg.measurements["qtc_ms"]) == (938, 412)
    assert ecg.statements[0] == "Sinus rhythm"


@pytest.mark.shared
def test_the_stored_beats_of_a_real_file_are_in_its_rhythm(shared: Path):
    content = (shared / "data/sierra/2020-5-18_15-48-11.xml").read_bytes()
    ecg = read(content)
    beats = xml_document.parse(content, limits.DEFAULT_LIMITS).findall("waveforms/repbeats/repbeat")
    assert len(beats) == 12
    for beat in beats:  # 1000 Hz, 1 microvolt
        stored = np.frombuffer(xml_document.binary(beat, "waveform"), "<i2")[300:900:2] / 1000
        rhythm = ecg.signal[LEADS.index(beat.get("leadname", ""))]
        windows = np.lib.stride_tricks.sliding_window_view(rhythm, len(stored))
        windows = windows - windows.mean(axis=1, keepdims=True)
        stored = stored - stored.mean()
        likeness = windows @ stored / np.linalg.norm(windows, axis=1) / np.linalg.norm(stored)
        slope = (windows @ stored / (stored @ stored))[likeness.argmax()]
        assert likeness.max() > 0.9
        assert slope == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8"])
def test_what_was_compressed_comes_back(encoding: str):
    assert np.array_equal(steps(read(file(encoding=encoding))), list(STEPS.values()))


def test_codes_after_a_full_table_and_repeated_bytes():
    leads = {name: np.zeros(1000, "<i2") for name in LEADS} | {"V1": STEPS["V1"]}
    assert np.array_equal(steps(read(file(xli(differences(leads))))), list(leads.values()))


def test_version_1_03_names_no_leads():
    attributes = {"compressmethod": "XLI", "dataencoding": "Base64", "durationperchannel": 2000}
    characteristics = {
        "samplingrate": 500,
        "signalresolution": 5,
        "numberchannelsvalid": 12,
        "leadset": "STD-12",
    }
    assert read(sierra(PACKED, attributes, characteristics, "1.03")).signal.shape == SIZE
    for unknown in ({"numberchannelsvalid": 16}, {"leadset": "MASON"}):
        content = sierra(PACKED, attributes, characteristics | unknown, "1.03")
        assert refused(content) == Reason.UNSUPPORTED_FORMAT


def test_uncompressed_samples():
    waveform = b"".join(lead.tobytes() for lead in STEPS.values())
    ecg = read(file(waveform, {"compression": "None"}))
    assert np.array_equal(steps(ecg)[6:], list(STEPS.values())[6:])
    assert np.abs(steps(ecg)[2:6] - np.array(list(STEPS.values()))[2:6]).max() <= 1
    assert refused(file(waveform[:-4000], {"compression": "None"})) == Reason.TRUNCATED


def test_age_is_the_patients_not_the_machines_default():
    inside = '<patient><generalpatientdata><age defaultage="50"/></generalpatientdata></patient>'
    assert read(file(inside=inside)).age is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (file(version="2.0"), Reason.UNSUPPORTED_FORMAT),
        (file(attributes={"compression": "ZIP"}), Reason.UNSUPPORTED_FORMAT),
        (file(attributes={"dataencoding": "Plain"}), Reason.UNSUPPORTED_FORMAT),
        (file(characteristics={"bitspersample": 12}), Reason.UNSUPPORTED_FORMAT),
        (file(characteristics={"signaloffset": 2048}), Reason.UNSUPPORTED_FORMAT),
        (file(characteristics={"signalsigned": "False"}), Reason.UNSUPPORTED_FORMAT),
        (file(characteristics={"resolution": 0}), Reason.UNKNOWN_UNIT),
        (file(characteristics={"resolution": "inf"}), Reason.UNKNOWN_UNIT),
        (file(characteristics={"samplingrate": -500}), Reason.BROKEN_HEADER),
        (file(attributes={"durationperchannel": 2**40}), Reason.IMPLAUSIBLE_SIZE),
        (file(attributes={"durationperchannel": "long"}), Reason.BROKEN_HEADER),
        (file(attributes={"durationperchannel": 2002}), Reason.TRUNCATED),
        (file(attributes={"durationperchannel": 1998}), Reason.BROKEN_SIGNAL),
        (file(PACKED[:-200]), Reason.TRUNCATED),
        (file(PACKED[:3]), Reason.TRUNCATED),
        (file(b"\xff\xff\xff\x7f" + PACKED[4:]), Reason.TRUNCATED),
        (file(PACKED[:8] + b"\xfb" * len(PACKED[8:])), Reason.BROKEN_SIGNAL),
        (file(attributes={"leadlabels": "I II III aVR aVL aVF V1 V2 V3 V4 V5 V5"}), Reason.DOUBLED_LEAD),
        (file(attributes={"numberofleads": 8}), Reason.MISSING_LEADS),
    ],
)
def test_a_broken_file_is_refused(content: bytes, reason: Reason):
    assert refused(content) == reason


def test_mutated_waveforms_end_in_a_recording_or_a_reason():
    random = np.random.default_rng(1)
    for _ in range(300):
        waveform = bytearray(PACKED)
        for at in random.integers(0, len(waveform), 5):
            waveform[at] = random.integers(256)
        try:
            assert reader.decode(file(bytes(waveform)), limits.DEFAULT_LIMITS).signal.shape == SIZE
        except UnusableEcgError:
            continue
