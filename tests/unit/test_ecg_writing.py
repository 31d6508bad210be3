"""Written ECGs: other readers and stence's own read them back, and they tell only what they were given."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
import wfdb

from stence.ecg import LEADS, Reason, Recording, UnusableEcgError, read
from stence.ecg.writing import WRITERS, Particulars
from support.ecgs import heartbeats
from support.samples import DATA

MOMENT = datetime(2026, 3, 1, 8, 30, 15)
GIVEN = Particulars("abc123", "F", 63, MOMENT, ("Normal ECG", "Größe"))


def written(tmp_path: Path, to: str, recording: Recording, particulars: Particulars = GIVEN) -> Path:
    """The path of the main file."""
    files = WRITERS[to]("abc123-000001", recording, particulars)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path / next(iter(files))


def recording_of(factor: float = 1.0, rate: float = 500) -> Recording:
    return Recording((heartbeats(3) * factor / 1000).astype(np.float32), sampling_rate=rate)


@pytest.mark.parametrize("to", WRITERS)
@pytest.mark.parametrize(("factor", "step"), [(1.0, 0.001), (1.3, 0.001), (20.0, 0.001), (45.0, 0.0025)])
def test_the_signal_reads_back_within_half_a_step(
    tmp_path: Path, to: str, factor: float, step: float
) -> None:
    recording = recording_of(factor)
    recording.signal[4, 100:150] = np.nan
    again = read(written(tmp_path, to, recording))
    assert again.sampling_rate == 500
    assert np.array_equal(np.isnan(again.signal), np.isnan(recording.signal))
    assert np.nanmax(np.abs(again.signal - recording.signal)) <= step / 2 + 4e-6  # float32 of 80 mV
    assert (again.patient_id, again.sex, again.age, again.acquired_at) == ("abc123", "F", 63, MOMENT)


@pytest.mark.parametrize("to", WRITERS)
def test_a_real_ecg_of_whole_microvolts_reads_back_exactly(tmp_path: Path, to: str) -> None:
    recording = read(DATA / "wfdb" / "1")
    whole = Recording(np.rint(recording.signal * 1000).astype(np.float32) / 1000, recording.sampling_rate)
    np.testing.assert_array_equal(read(written(tmp_path, to, whole)).signal, whole.signal)


@pytest.mark.parametrize("rate", [500, 257.5, 997.123456])
def test_wfdb_reads_the_record_with_its_checksums(tmp_path: Path, rate: float) -> None:
    recording = recording_of(rate=rate)
    path = written(tmp_path, "wfdb", recording)
    record = wfdb.rdrecord(str(path.with_suffix("")), physical=False)
    assert record.fs == rate
    assert record.sig_name == [*LEADS]
    assert record.base_datetime == MOMENT
    np.testing.assert_array_equal(record.d_signal.T, heartbeats(3))
    assert record.calc_checksum() == [each % 65536 for each in record.checksum]


def test_pydicom_reads_a_12_lead_ecg(tmp_path: Path) -> None:
    recording = recording_of(45.0)
    dataset = pydicom.dcmread(written(tmp_path, "dicom", recording))
    assert dataset.SOPClassUID.name == "12-lead ECG Waveform Storage"
    np.testing.assert_allclose(dataset.waveform_array(0).T / 1000, recording.signal, atol=0.00126)
    [group] = dataset.WaveformSequence
    codes = [channel.ChannelSourceSequence[0].CodeValue for channel in group.ChannelDefinitionSequence]
    assert codes == [f"2:{n}" for n in (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8)]
    assert dataset.PatientIdentityRemoved == "YES"


@pytest.mark.parametrize("to", WRITERS)
def test_statements_are_kept_and_times_are_not_made_up(tmp_path: Path, to: str) -> None:
    path = written(tmp_path, to, recording_of())
    assert "Größe".encode() in path.read_bytes()
    bare = written(tmp_path, to, recording_of(), Particulars("abc123"))
    again = read(bare)
    assert (again.sex, again.age, again.acquired_at) == (None, None, None)
    assert b"20260301" not in bare.read_bytes()


def test_dicom_statements_are_read_back(tmp_path: Path) -> None:
    assert read(written(tmp_path, "dicom", recording_of())).statements == ("Normal ECG", "Größe")


def test_uids_do_not_depend_on_the_ecg() -> None:
    def uids() -> set[str]:
        [content] = WRITERS["dicom"]("a", recording_of(), GIVEN).values()
        dataset = pydicom.dcmread(BytesIO(content))
        return {
            str(dataset[name].value) for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
        }

    assert len(uids() | uids()) == 6


@pytest.mark.parametrize("to", WRITERS)
@pytest.mark.parametrize("sample", [82.0, -82.0, np.inf])
def test_what_16_bits_cannot_hold_is_refused(to: str, sample: float) -> None:
    recording = recording_of()
    recording.signal[0, 0] = sample
    with pytest.raises(UnusableEcgError, match="does not fit") as refused:
        WRITERS[to]("a", recording, GIVEN)
    assert refused.value.finding.reason is Reason.IMPLAUSIBLE_AMPLITUDE


@pytest.mark.parametrize(
    ("rate", "samples", "reason"),
    [
        (100, 1000, Reason.IMPLAUSIBLE_SAMPLING_RATE),
        (1001, 5000, Reason.IMPLAUSIBLE_SAMPLING_RATE),
        (1000, 16_385, Reason.IMPLAUSIBLE_SIZE),
    ],
)
def test_dicom_refuses_what_its_12_lead_ecg_does_not_allow(rate: float, samples: int, reason: Reason) -> None:
    with pytest.raises(UnusableEcgError, match="convert it to WFDB") as refused:
        WRITERS["dicom"]("a", Recording(np.zeros((12, samples), np.float32), rate), GIVEN)
    assert refused.value.finding.reason is reason
