"""GE MUSE XML: the rhythm waveform as the machine stored it, and a reason for all that is not."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from stence.ecg import LEADS, Reason
from stence.ecg.formats import wfdb_header
from stence.ecg.formats.limits import DEFAULT_LIMITS
from support.xml_ecgs import elements, muse, muse_waveform, read, refused, signals

STEP = 0.00488
RHYTHM, MEDIAN = signals(), signals(600, seed=4)


def file(**lead: object) -> bytes:
    return muse(muse_waveform(RHYTHM, lead=lead))


@pytest.mark.shared
def test_a_real_file_equals_its_wfdb_conversion(shared: Path):
    folder = shared / "data/muse"
    ours = read((folder / "muse-sinus.xml").read_bytes())
    header = wfdb_header.parse((folder / "muse-sinus.hea").read_bytes(), DEFAULT_LIMITS)
    microvolts = np.fromfile(folder / "muse-sinus.dat", "<i2").reshape(-1, len(header.channels)).T
    order = [LEADS.index(channel.name.replace("AV", "aV")) for channel in header.channels]
    # the conversion wrote whole microvolts; the gain in its header, 200/mV, is not theirs
    assert np.abs(1000 * ours.signal[order] - microvolts).max() < 4.88


@pytest.mark.shared
@pytest.mark.parametrize("name", ["muse-sinus", "braveheart_example1", "braveheart_example2"])
def test_the_median_beat_of_a_real_file_is_in_its_rhythm(shared: Path, name: str):
    content = (shared / f"data/muse/{name}.xml").read_bytes()
    rhythm = read(content).signal
    swapped = content.replace(b"Rhythm<", b"Other<").replace(b"Median<", b"Rhythm<")
    median = read(swapped).signal
    assert (rhythm.shape, median.shape) == ((12, 5000), (12, 600))
    for lead in (1, 7, 10):
        beat = median[lead, 150:350] - median[lead, 150:350].mean()
        windows = np.lib.stride_tricks.sliding_window_view(rhythm[lead], len(beat))
        windows = windows - windows.mean(axis=1, keepdims=True)
        likeness = windows @ beat / np.linalg.norm(windows, axis=1) / np.linalg.norm(beat)
        assert likeness.max() > 0.95


@pytest.mark.shared
def test_what_a_real_file_says_besides(shared: Path):
    ecg = read((shared / "data/muse/muse-sinus.xml").read_bytes())
    assert (ecg.patient_id, ecg.sex, ecg.age) == ("081486213", "M", 43)
    assert ecg.acquired_at == datetime(2023, 4, 29, 22, 41, 16)
    assert (ecg.device, ecg.device_serial) == ("MV360", "VU222470021SA")
    assert ecg.filters == "0.56 to 150 Hz, notch 60 Hz"
    assert (ecg.measurements["qtc_ms"], ecg.measurements["t_axis"]) == (491, 111)
    assert ecg.statements[:2] == ("Normal Sinus rhythm", "Anterior infarct, age undetermined")


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "utf-8", "utf-8-sig", "utf-16", "windows-1252"])
def test_rhythm_not_median_in_any_encoding(encoding: str):
    inside = "<TestDemographics><SiteName>Köln</SiteName></TestDemographics>"
    content = muse(muse_waveform(MEDIAN, "Median"), muse_waveform(RHYTHM), inside=inside, encoding=encoding)
    if encoding == "utf-8-sig":
        content = content.replace(b"utf-8-sig", b"utf-8")
    ecg = read(content)
    assert ecg.site == "Köln"
    assert ecg.sampling_rate == 500
    np.testing.assert_allclose(ecg.signal[LEADS.index("V3")], RHYTHM["V3"] * STEP, rtol=1e-6)
    np.testing.assert_allclose(ecg.signal[2], (RHYTHM["II"].astype(int) - RHYTHM["I"]) * STEP, atol=1e-5)


def test_utf_16_in_name_only():
    assert read(file().replace(b"ISO-8859-1", b"UTF-16")).signal.shape == (12, 1000)


def test_most_leads_win_then_length():
    few = {name: RHYTHM[name] for name in ("I", "II", "V1")}
    waveforms = (muse_waveform(few), muse_waveform(MEDIAN), muse_waveform(RHYTHM))
    assert read(muse(*waveforms)).signal.shape == (12, 1000)


def test_leads_of_children_are_left_out():
    assert read(muse(muse_waveform({"V3R": MEDIAN["I"][:600], **MEDIAN}))).signal.shape == (12, 600)


def test_rate_has_an_exponent():
    assert read(muse(muse_waveform(RHYTHM, SampleBase=25, SampleExponent=1))).sampling_rate == 250


def test_age_from_birth_and_in_months():
    born = "<PatientDemographics><DateofBirth>02-01-1950</DateofBirth></PatientDemographics>"
    time = {"AcquisitionDate": "02-01-2000", "AcquisitionTime": "10:00:00"}
    content = muse(
        muse_waveform(RHYTHM), inside=born + f"<TestDemographics>{elements(time)}</TestDemographics>"
    )
    assert read(content).age == pytest.approx(50, abs=0.01)
    months = elements({"PatientAge": 6, "AgeUnits": "MONTHS"})
    content = muse(muse_waveform(RHYTHM), inside=f"<PatientDemographics>{months}</PatientDemographics>")
    assert read(content).age == 0.5


@pytest.mark.parametrize(
    ("lead", "reason"),
    [
        ({"LeadSampleCountTotal": 1001}, Reason.TRUNCATED),
        ({"LeadSampleCountTotal": 2**31}, Reason.IMPLAUSIBLE_SIZE),
        ({"LeadSampleCountTotal": 0}, Reason.IMPLAUSIBLE_SIZE),
        ({"LeadSampleCountTotal": "many"}, Reason.BROKEN_HEADER),
        ({"LeadSampleCountTotal": 10.5}, Reason.BROKEN_HEADER),
        ({"LeadDataCRC32": 4711}, Reason.CHECKSUM_MISMATCH),
        ({"WaveFormData": "?" * 4000}, Reason.BROKEN_SIGNAL),
        ({"LeadAmplitudeUnitsPerBit": 0}, Reason.UNKNOWN_UNIT),
        ({"LeadAmplitudeUnitsPerBit": "nan"}, Reason.UNKNOWN_UNIT),
        ({"LeadAmplitudeUnits": "KNOTS"}, Reason.UNKNOWN_UNIT),
        ({"LeadSampleSize": 4}, Reason.UNSUPPORTED_FORMAT),
    ],
)
def test_a_broken_lead_is_refused(lead: dict[str, object], reason: Reason):
    assert refused(file(**lead)) == reason


@pytest.mark.parametrize("crc", ["", "0"])
def test_without_a_checksum(crc: str):
    assert read(file(LeadDataCRC32=crc)).signal.shape == (12, 1000)


@pytest.mark.parametrize(
    ("waveform", "reason"),
    [
        ({"SampleBase": 0}, Reason.BROKEN_HEADER),
        ({"SampleExponent": 400}, Reason.BROKEN_HEADER),
        ({"SampleType": "COMPRESSED"}, Reason.UNSUPPORTED_FORMAT),
        ({"kind": "Median"}, Reason.MISSING_LEADS),
    ],
)
def test_a_broken_waveform_is_refused(waveform: dict[str, object], reason: Reason):
    assert refused(muse(muse_waveform(RHYTHM, **waveform))) == reason


def test_leads_that_do_not_belong_together_are_refused():
    uneven = RHYTHM | {"V2": RHYTHM["V2"][:900]}
    assert refused(muse(muse_waveform(uneven))) == Reason.BROKEN_HEADER
    assert refused(file().replace(b">V2<", b">V1<", 1)) == Reason.DOUBLED_LEAD
    late = file().replace(b"<LeadTimeOffset>0<", b"<LeadTimeOffset>2500<", 1)
    assert refused(late) == Reason.BROKEN_HEADER
    assert refused(muse(*[muse_waveform(MEDIAN)] * 17)) == Reason.IMPLAUSIBLE_SIZE


def test_two_patients_in_one_file_are_refused():
    inside = "<PatientDemographics><PatientID>1</PatientID><PatientID>2</PatientID></PatientDemographics>"
    assert refused(muse(muse_waveform(RHYTHM), inside=inside)) == Reason.UNREADABLE_PATIENT
