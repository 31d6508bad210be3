"""DICOM waveforms: the rhythm group in millivolts, whatever its units, order and extras."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    GeneralECGWaveformStorage,
)

from stence import ecg
from stence.ecg import Reason, UnusableEcgError
from support.dicom_ecg import (
    ORIGINAL,
    channel,
    dataset,
    decode,
    reason_of,
    rhythm,
)

__all__ = ["dataset"]


def test_rhythm_group_equals_pydicom():
    recording = ecg.read(ORIGINAL)
    expected = pydicom.dcmread(ORIGINAL).waveform_array(0).T / 1000  # microvolts
    np.testing.assert_allclose(recording.signal, expected, atol=1e-6)
    assert recording.signal.shape == (12, 10000)
    assert recording.signal.dtype == np.float32
    assert recording.sampling_rate == 1000


def test_patient_time_and_device():
    recording = ecg.read(ORIGINAL)
    assert recording.patient_id == "642341"
    assert recording.acquired_at == datetime(2013, 1, 25, 10, 59, 19)
    assert recording.device == "Mortara Instrument, Inc. el250"
    assert (recording.sex, recording.age) == ("F", 42)


def test_site_and_indication(dataset: Dataset):
    dataset.InstitutionName = "St Elsewhere\x00, outpatients"
    dataset.RequestedProcedureDescription = "12-lead ECG"
    assert decode(dataset).site == "St Elsewhere, outpatients"
    assert decode(dataset).indication == "12-lead ECG"
    request = Dataset()
    request.ReasonForTheRequestedProcedure = "chest pain"
    dataset.RequestAttributesSequence = [request]
    assert decode(dataset).indication == "chest pain"
    dataset.ReasonForTheRequestedProcedure = "dyspnoea"
    assert decode(dataset).indication == "dyspnoea"


def test_requests_of_another_kind_are_passed_over(dataset: Dataset):
    dataset.add_new("RequestAttributesSequence", "LO", "chest pain")
    assert decode(dataset).indication == ecg.read(ORIGINAL).indication


def test_time_zone_is_honoured_where_it_is_named(dataset: Dataset):
    dataset.TimezoneOffsetFromUTC = "+0100"
    moment = datetime(2013, 1, 25, 10, 59, 19, tzinfo=timezone(timedelta(hours=1)))
    assert decode(dataset).acquired_at == moment
    dataset.AcquisitionDateTime = "20130125105919.5+0000"
    assert decode(dataset).acquired_at == datetime(2013, 1, 25, 10, 59, 19, 500000, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "2013", "20130125", "20131325105919"])
def test_incomplete_times_are_no_times(dataset: Dataset, text: str):
    for level in ("Acquisition", "Content", "Series", "Study"):
        setattr(dataset, f"{level}Date", "")
    dataset.AcquisitionDateTime = text
    assert decode(dataset).acquired_at is None


def test_date_and_time_may_stand_apart(dataset: Dataset):
    """As angiograms give them: of the acquisition, else of content, series, study."""
    for level in ("Content", "Series", "Study"):
        setattr(dataset, f"{level}Date", "")
    dataset.AcquisitionDateTime = ""
    for year, level in enumerate(("Study", "Series", "Content", "Acquisition"), start=2020):
        setattr(dataset, f"{level}Date", f"{year}0301")
        setattr(dataset, f"{level}Time", "083000")
        assert decode(dataset).acquired_at == datetime(year, 3, 1, 8, 30)
    dataset.AcquisitionTime = "08"  # the hour alone does not tell what came before what
    assert decode(dataset).acquired_at == datetime(2022, 3, 1, 8, 30)
    dataset.TimezoneOffsetFromUTC = "+0200"
    assert decode(dataset).acquired_at == datetime(2022, 3, 1, 6, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("00010101000000", "00010101000000+0100", "99991231235959-1200", "18000101120000", "19000101000000"),
        *("19700101000000", "20990101120000", "20130125105919+9900", "00000101120000"),
    ],
)
def test_times_that_nobody_can_mean_are_none(dataset: Dataset, text: str):
    dataset.AcquisitionDateTime = text
    assert decode(dataset).acquired_at is None


@pytest.mark.parametrize(
    ("text", "years"),
    [("999Y", None), ("131Y", None), ("130Y", 130), ("006M", 0.5), ("-01Y", None), ("42", None)],
)
def test_ages_that_nobody_can_have_are_none(dataset: Dataset, text: str, years: float | None):
    dataset.PatientAge = text
    assert decode(dataset).age == years


def test_missing_particulars_are_none(dataset: Dataset):
    for keyword in ("PatientID", "PatientSex", "PatientAge", "Manufacturer", "ManufacturerModelName"):
        delattr(dataset, keyword)
    recording = decode(dataset)
    assert (recording.patient_id, recording.sex, recording.age, recording.device) == (None,) * 4


def test_median_beat_is_passed_over_wherever_it_stands(dataset: Dataset):
    dataset.WaveformSequence.reverse()
    assert decode(dataset).signal.shape == (12, 10000)
    del dataset.WaveformSequence[1]
    assert reason_of(dataset) is Reason.MISSING_LEADS


def test_units_correction_and_baseline_are_honoured(dataset: Dataset):
    plain = decode(dataset).signal
    second = channel(dataset, 1)
    second.ChannelSensitivityUnitsSequence[0].CodeValue = "mV"
    second.ChannelSensitivity = "0.001"
    second.ChannelSensitivityCorrectionFactor = "2.5"
    second.ChannelBaseline = "0.2"
    signal = decode(dataset).signal
    np.testing.assert_allclose(signal[1], plain[1] * 2 + 0.2, atol=1e-5)
    np.testing.assert_array_equal(signal[2], plain[2])


@pytest.mark.parametrize("keyword", ["ChannelSensitivity", "ChannelSensitivityUnitsSequence"])
def test_leads_without_scale_are_refused(dataset: Dataset, keyword: str):
    delattr(channel(dataset, 4), keyword)
    assert reason_of(dataset) is Reason.UNKNOWN_UNIT


def test_units_that_are_no_voltage_are_refused(dataset: Dataset):
    channel(dataset, 4).ChannelSensitivityUnitsSequence[0].CodeValue = "mm[Hg]"
    assert reason_of(dataset) is Reason.UNKNOWN_UNIT


def test_codes_decide_before_labels(dataset: Dataset):
    plain = decode(dataset).signal
    for index in (0, 1):
        channel(dataset, index).ChannelSourceSequence[0].CodeMeaning = "Lead V9"
        channel(dataset, index).ChannelLabel = "V9"
    channel(dataset, 0).ChannelSourceSequence[0].CodeValue = "2:2"
    channel(dataset, 1).ChannelSourceSequence[0].CodeValue = "2:1"
    np.testing.assert_array_equal(decode(dataset).signal[:2], plain[[1, 0]])


def test_labels_do_where_there_are_no_codes(dataset: Dataset):
    for index, lead in enumerate(ecg.LEADS):
        del channel(dataset, index).ChannelSourceSequence
        channel(dataset, index).ChannelLabel = lead
    np.testing.assert_array_equal(decode(dataset).signal, ecg.read(ORIGINAL).signal)


def test_eight_stored_leads_give_twelve(dataset: Dataset):
    plain = decode(dataset).signal
    group = rhythm(dataset)
    stored = [0, 1, 6, 7, 8, 9, 10, 11]
    samples = np.frombuffer(group.WaveformData, "<i2").reshape(-1, 12)[:, stored]
    group.WaveformData = samples.tobytes()
    group.ChannelDefinitionSequence = [group.ChannelDefinitionSequence[index] for index in stored]
    group.NumberOfWaveformChannels = 8
    signal = decode(dataset).signal
    np.testing.assert_array_equal(signal[stored], plain[stored])
    np.testing.assert_allclose(signal[2:6], plain[2:6], atol=0.003)  # the machine rounded its own


def test_skew_shifts_a_channel(dataset: Dataset):
    plain = decode(dataset).signal
    channel(dataset, 6).ChannelSampleSkew = "2"
    del channel(dataset, 7).ChannelSampleSkew
    channel(dataset, 7).ChannelTimeSkew = "-0.003"
    signal = decode(dataset).signal
    np.testing.assert_array_equal(signal[6, 2:], plain[6, :-2])
    np.testing.assert_array_equal(signal[7, :-3], plain[7, 3:])
    assert np.argwhere(np.isnan(signal)).tolist() == [[6, 0], [6, 1], [7, 9997], [7, 9998], [7, 9999]]


def test_padding_is_invalid(dataset: Dataset):
    samples = np.frombuffer(rhythm(dataset).WaveformData, "<i2").reshape(-1, 12).copy()
    samples[100:200, 3] = -32768
    rhythm(dataset).WaveformData = samples.tobytes()
    rhythm(dataset).add_new("WaveformPaddingValue", "OW", b"\x00\x80")
    assert np.isnan(decode(dataset).signal).sum() == 100


@pytest.mark.parametrize(
    ("interpretation", "dtype", "bits"), [("SL", "<i4", 32), ("US", "<u2", 16), ("SB", "i1", 8)]
)
def test_other_sample_sizes(dataset: Dataset, interpretation: str, dtype: str, bits: int):
    samples = np.clip(np.frombuffer(rhythm(dataset).WaveformData, "<i2"), 0, 127).astype(dtype)
    rhythm(dataset).WaveformData = samples.tobytes()
    rhythm(dataset).WaveformSampleInterpretation = interpretation
    rhythm(dataset).WaveformBitsAllocated = bits
    dataset.SOPClassUID = GeneralECGWaveformStorage
    np.testing.assert_allclose(decode(dataset).signal, samples.reshape(-1, 12).T * 0.00125, atol=1e-6)


def test_companded_samples_are_unsupported(dataset: Dataset):
    rhythm(dataset).WaveformSampleInterpretation = "MB"
    rhythm(dataset).WaveformBitsAllocated = 8
    assert reason_of(dataset) is Reason.UNSUPPORTED_FORMAT


def test_strips_of_three_leads_each_are_no_12_lead_recording(dataset: Dataset):
    group, samples = rhythm(dataset), np.frombuffer(rhythm(dataset).WaveformData, "<i2").reshape(-1, 12)
    strips = []
    for first in range(0, 12, 3):
        strip = copy.deepcopy(group)
        strip.ChannelDefinitionSequence = group.ChannelDefinitionSequence[first : first + 3]
        strip.WaveformData = np.ascontiguousarray(samples[:2500, first : first + 3]).tobytes()
        strip.NumberOfWaveformChannels, strip.NumberOfWaveformSamples = 3, 2500
        strips.append(strip)
    dataset.WaveformSequence = strips
    assert reason_of(dataset) is Reason.MISSING_LEADS


@pytest.mark.parametrize(
    ("keyword", "value", "reason"),
    [
        ("NumberOfWaveformSamples", 10001, Reason.TRUNCATED),
        ("NumberOfWaveformSamples", 2**31, Reason.IMPLAUSIBLE_SIZE),
        ("NumberOfWaveformSamples", 0, Reason.IMPLAUSIBLE_SIZE),
        ("NumberOfWaveformChannels", 11, Reason.BROKEN_HEADER),
        ("SamplingFrequency", "0", Reason.BROKEN_HEADER),
    ],
)
def test_contradictions_are_refused(dataset: Dataset, keyword: str, value: object, reason: Reason):
    setattr(rhythm(dataset), keyword, value)
    assert reason_of(dataset) is reason


def test_extension_does_not_matter():
    content = ORIGINAL.read_bytes()
    assert ecg.decode("IM000001", {"IM000001": content}).signal.shape == (12, 10000)
    assert ecg.companions("IM000001", {"IM000001": content}) == ()


@pytest.mark.shared
def test_angiograms_are_unsupported(shared: Path):
    with pytest.raises(UnusableEcgError) as caught:
        ecg.read(shared / "data/xa/phantom_IM1.dcm")
    assert caught.value.finding.reason is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    ("interpretation", "stored"),
    [
        ("SB", [-128, 127]),
        ("UB", [0, 255]),
        ("SS", [-32768, 32767]),
        ("US", [0, 65535]),
        ("SL", [-70_000, 70_000]),
        ("UL", [0, 3_000_000_000]),
    ],
)
def test_samples_are_signed_only_where_the_file_says_so(
    dataset: Dataset, interpretation: str, stored: list[int]
):
    size = {"B": 1, "S": 2, "L": 4}[interpretation[1]]
    dtype = np.dtype(f"<{'i' if interpretation[0] == 'S' else 'u'}{size}")
    samples = np.resize(np.array(stored, dtype), (1000, 12))
    samples[1::2] = stored[0]
    rhythm(dataset).WaveformData = samples.tobytes()
    rhythm(dataset).WaveformSampleInterpretation = interpretation
    rhythm(dataset).WaveformBitsAllocated = 8 * size
    rhythm(dataset).NumberOfWaveformSamples = 1000
    np.testing.assert_allclose(decode(dataset).signal, samples.T * 0.00125, rtol=1e-6)


def other_rhythm(dataset: Dataset, samples: int, originality: str = "ORIGINAL") -> Dataset:
    """The file with its rhythm cut to so many samples in a group of its own, before all others."""
    group = copy.deepcopy(rhythm(dataset))
    group.WaveformData = group.WaveformData[: 24 * samples]
    group.NumberOfWaveformSamples, group.WaveformOriginality = samples, originality
    dataset.WaveformSequence = [group, *dataset.WaveformSequence]
    return group


def test_of_two_rhythms_the_longer_is_read(dataset: Dataset):
    other_rhythm(dataset, 9000)
    assert decode(dataset).seconds == 10
    dataset.WaveformSequence[0].SamplingFrequency = "500"  # fewer samples, and more seconds
    assert decode(dataset).seconds == 18


def test_an_original_rhythm_comes_before_a_longer_derived_one(dataset: Dataset):
    rhythm(dataset).WaveformOriginality = "DERIVED"
    other_rhythm(dataset, 9000)
    assert decode(dataset).seconds == 9


def test_a_group_of_more_leads_comes_before_a_longer_one(dataset: Dataset):
    group = other_rhythm(dataset, 10_000)
    group.SamplingFrequency = "500"
    group.ChannelDefinitionSequence[3].ChannelSourceSequence[0].CodeValue = "2:9"
    assert decode(dataset).seconds == 10


@pytest.mark.parametrize(("groups", "accepted"), [(16, True), (17, False)])
def test_a_file_of_more_than_16_waveforms_is_none(dataset: Dataset, groups: int, accepted: bool):
    beat = dataset.WaveformSequence[1]
    dataset.WaveformSequence = [rhythm(dataset), *[beat] * (groups - 1)]
    if accepted:
        assert decode(dataset).seconds == 10
    else:
        assert reason_of(dataset) is Reason.IMPLAUSIBLE_SIZE


@pytest.mark.parametrize(("text", "years"), [("063Y", 63), ("018M", 1.5), ("026W", 0.498), ("073D", 0.2)])
def test_ages_are_in_years(dataset: Dataset, text: str, years: float):
    dataset.PatientAge = text
    assert decode(dataset).age == pytest.approx(years, abs=1e-3)


def test_a_median_beat_is_known_by_its_label_in_any_case(dataset: Dataset):
    del dataset.WaveformSequence[1]
    rhythm(dataset).MultiplexGroupLabel = "Median Beat"
    assert reason_of(dataset) is Reason.MISSING_LEADS


def test_the_skew_in_samples_comes_before_that_in_seconds(dataset: Dataset):
    plain = decode(dataset).signal
    channel(dataset, 6).ChannelSampleSkew = "2"
    channel(dataset, 6).ChannelTimeSkew = "-0.003"
    np.testing.assert_array_equal(decode(dataset).signal[6, 2:], plain[6, :-2])


def test_a_time_is_exact_to_the_minute_or_none(dataset: Dataset):
    for level in ("Acquisition", "Content", "Series", "Study"):
        setattr(dataset, f"{level}Date", "")
    dataset.AcquisitionDateTime = "2013012510"
    assert decode(dataset).acquired_at is None
    dataset.AcquisitionDateTime = "201301251059"
    assert decode(dataset).acquired_at == datetime(2013, 1, 25, 10, 59)
