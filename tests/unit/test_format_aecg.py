"""HL7 aECG: the rhythm series in millivolts, with what the document says of subject, time and machine."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from defusedxml import ElementTree

from stence.ecg import LEADS, Reason
from support.xml_ecgs import aecg, aecg_series, aecg_set, read, refused, signals

DATA = Path(__file__).parents[1] / "data" / "aecg" / "example_aecg.xml"
ORDER = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6", "III", "aVR", "aVL", "aVF")
RHYTHM, BEAT = signals(), signals(600, seed=4)


def file(**changed: object) -> bytes:
    return aecg(aecg_series(aecg_set(RHYTHM, **changed)))


def assert_equals_plain_reading(content: bytes) -> None:
    """Compare with the digits as ElementTree and Python's int read them: the rhythm comes first."""
    digits = [found.text.split() for found in ElementTree.fromstring(content).iter("{urn:hl7-org:v3}digits")]
    expected = np.array([[int(word) for word in words] for words in digits[:12]]) * 0.0025
    ours = read(content).signal[[LEADS.index(name) for name in ORDER]]
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_the_standards_example():
    ecg = read(DATA.read_bytes())
    assert_equals_plain_reading(DATA.read_bytes())
    assert (ecg.signal.shape, ecg.sampling_rate) == ((12, 1500), 500)
    assert (ecg.patient_id, ecg.sex, ecg.age) == ("SBJ-123", "M", 46)
    assert ecg.acquired_at == datetime(2002, 11, 22, 9, 10)
    assert (ecg.device, ecg.site) == ("Mortara Instrument, Inc. ELI250", "River City ECG Collection Service")
    assert ecg.filters == "to 150 Hz, notch 60 Hz"
    assert (ecg.measurements["qrs_ms"], ecg.measurements["qrs_axis"]) == (120, -61)
    assert ecg.statements == ("Sinus Rhythm",)


@pytest.mark.shared
def test_the_standards_example_at_full_length(shared: Path):
    assert_equals_plain_reading((shared / "data/aecg/example_aecg.xml").read_bytes())


def test_limb_leads_of_the_example_follow_from_i_and_ii():
    one, two, three, right, left, foot = read(DATA.read_bytes()).signal[:6]
    expected = (two - one, -(one + two) / 2, one - two / 2, two - one / 2)
    for lead, derived in zip((three, right, left, foot), expected, strict=True):
        assert np.abs(lead - derived).max() <= 2 * 0.0025


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "ISO-8859-1"])
def test_rhythm_not_beat_in_any_encoding(encoding: str):
    beat = aecg_series(aecg_set(BEAT), code="REPRESENTATIVE_BEAT")
    ecg = read(aecg(beat, aecg_series(aecg_set(RHYTHM)), encoding=encoding))
    np.testing.assert_allclose(ecg.signal[LEADS.index("V6")], RHYTHM["V6"] * 0.005, rtol=1e-6)
    assert refused(aecg(beat)) == Reason.MISSING_LEADS


def test_most_leads_win_then_length():
    few = {name: RHYTHM[name] for name in ("I", "II", "V1")}
    sets = [aecg_set(few), aecg_set(BEAT), aecg_set(RHYTHM)]
    assert read(aecg(aecg_series(*sets))).signal.shape == (12, 1000)


def test_origin_scale_and_unit():
    ecg = read(file(origin=1, scale=0.0025, unit="mV"))
    np.testing.assert_allclose(ecg.signal[LEADS.index("V1")], 1 + RHYTHM["V1"] * 0.0025, rtol=1e-6)


def test_the_calibration_pulse_at_the_end_is_no_ecg():
    """Philips writes it with noise of a step, another one in each lead."""
    noise = np.random.default_rng(2).integers(-1, 2, (8, 200))
    pulse = np.r_[np.zeros(50), np.full(100, 200), np.zeros(50)] + noise
    leads = {
        name: np.r_[samples[:800], tail].astype(int)
        for (name, samples), tail in zip(RHYTHM.items(), pulse, strict=True)
    }
    assert read(aecg(aecg_series(aecg_set(leads)))).signal.shape == (12, 800)


def test_time_has_a_zone_and_milliseconds():
    ecg = read(file(step='<increment value="4" unit="ms"/>'))
    assert ecg.sampling_rate == 250
    assert ecg.acquired_at == datetime(2024, 2, 29, 10, 11, 12, 250_000, tzinfo=timezone(timedelta(hours=-5)))


def test_age_from_the_date_of_birth():
    person = '<subjectDemographicPerson><birthTime value="19740301"/></subjectDemographicPerson>'
    subject = f"<subject><trialSubject>{person}</trialSubject></subject>"
    subject = f"<componentOf><subjectAssignment>{subject}</subjectAssignment></componentOf>"
    inside = f"<componentOf><timepointEvent>{subject}</timepointEvent></componentOf>"
    empty = '<code code="21612-7"/><value unit="a"/>'
    inside += f"<controlVariable><relatedObservation>{empty}</relatedObservation></controlVariable>"
    assert read(aecg(aecg_series(aecg_set(RHYTHM)), inside=inside)).age == pytest.approx(50, abs=0.01)


def test_the_serial_number_may_stand_with_the_devices_role():
    inside = '<author><seriesAuthor><id extension="EKG16"/></seriesAuthor></author>'
    assert read(aecg(aecg_series(aecg_set(RHYTHM), inside=inside))).device_serial == "EKG16"


def annotation(code: str, value: str, lead: str = "") -> str:
    boundary = f'<component><boundary><code code="{lead}"/></boundary></component>'
    support = f"<support><supportingROI>{boundary}</supportingROI></support>" if lead else ""
    return f'<component><annotation><code code="{code}"/>{value}{support}</annotation></component>'


def test_measurements_are_global_medians_of_the_first_set():
    def one(milliseconds: float, lead: str = "", unit: str = "ms") -> str:
        value = f'<value value="{milliseconds}" unit="{unit}"/>'
        return annotation("MDC_ECG_TIME_PD_QRS", value, lead)

    machine = one(98) + one(0.1, unit="s") + one(160) + one(300, "MDC_ECG_LEAD_V1")
    machine += annotation("MDC_ECG_INTERPRETATION_STATEMENT", "<value>Left axis deviation</value>")
    sets = "".join(
        f"<subjectOf><annotationSet>{found}</annotationSet></subjectOf>" for found in (machine, one(444))
    )
    ecg = read(aecg(aecg_series(aecg_set(RHYTHM), inside=sets)))
    assert dict(ecg.measurements) == {"qrs_ms": 100}
    assert ecg.statements == ("Left axis deviation",)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"<digits>\n", b"<digits>1 ", Reason.TRUNCATED),
        (b"<digits>\n", b"<digits>x", Reason.BROKEN_SIGNAL),
        (b"<digits>\n", b"<digits>2147483648 ", Reason.BROKEN_SIGNAL),
        (b"<digits>\n", b"<digits>1.5 ", Reason.BROKEN_SIGNAL),
        (b"<digits>\n", b"<digits>- ", Reason.BROKEN_SIGNAL),
        (b"<digits>\n", b"<digits>1-2 ", Reason.BROKEN_SIGNAL),
        (b"<digits>\n", "<digits>\u0661 ".encode(), Reason.BROKEN_SIGNAL),
        (b'<scale value="5"', b'<scale value="0"', Reason.UNKNOWN_UNIT),
        (b'<scale value="5"', b'<scale value="nan"', Reason.UNKNOWN_UNIT),
        (b'unit="uV"', b'unit="m"', Reason.UNKNOWN_UNIT),
        (b'value="0.002"', b'value="0"', Reason.BROKEN_HEADER),
        (b'value="0.002"', b'value="-0.002"', Reason.BROKEN_HEADER),
        (b'value="0.002" unit="s"', b'value="0.002" unit="h"', Reason.BROKEN_HEADER),
        (b"MDC_ECG_LEAD_V2", b"MDC_ECG_LEAD_V1", Reason.DOUBLED_LEAD),
        (b"MDC_ECG_LEAD_V2", b"MDC_ECG_LEAD_V9", Reason.MISSING_LEADS),
    ],
)
def test_a_broken_file_is_refused(old: bytes, new: bytes, reason: Reason):
    assert refused(file().replace(old, new, 1)) == reason


def test_a_file_of_many_sets_is_refused():
    assert refused(aecg(aecg_series(*[aecg_set(BEAT)] * 65))) == Reason.IMPLAUSIBLE_SIZE


def test_two_subjects_are_refused():
    content = DATA.read_bytes()
    two = content.replace(b"<trialSubject>", b'<trialSubject><id extension="SBJ-124"/>')
    assert refused(two) == Reason.UNREADABLE_PATIENT
