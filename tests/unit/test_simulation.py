"""The practice hospital: real files, the same for the same seed, sick as documented, broken as listed."""

from __future__ import annotations

import csv
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
import wfdb
from pydicom.uid import TwelveLeadECGWaveformStorage

from stence.domain.targets import TARGET_NAMES, labels
from stence.ecg import POLICY, Action, UnusableEcgError, check, read
from stence.objects import LocalStore
from stence.progress import silent
from stence.settings import Settings
from stence.simulation import HospitalConfig, SimulationSummary, simulate
from stence.simulation.cardiac_dipole import ISCHAEMIA_SPREAD, SCAR_SPREAD
from stence.simulation.coronaries import draw_trees, ischaemia
from stence.simulation.devices import SITES
from stence.simulation.faults import EXPECTED, SENT_AGAIN, WRONG_PATIENT
from stence.simulation.patients import draw_patient
from stence.simulation.truth import Evidence, IdealObserver, auroc, best_auroc
from support.delineation import measure

PATIENTS = 300


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SimulationSummary]:
    folder = tmp_path_factory.mktemp("hospital")
    return folder, simulate(LocalStore(folder), Settings(), HospitalConfig(PATIENTS), silent)


@pytest.fixture(scope="module")
def folder(hospital: tuple[Path, SimulationSummary]) -> Path:
    return hospital[0]


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(path.read_text(encoding="utf-8"))))


def sound_keys(folder: Path) -> list[str]:
    faulty = {row["key"] for row in table(folder / "simulation/faults.csv")}
    return [row["key"] for row in table(folder / "simulation/ecgs.csv") if row["key"] not in faulty]


def objects(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.slow
def test_same_seed_same_bytes_and_more_patients_change_nobody(tmp_path: Path) -> None:
    for name, patients in (("a", 8), ("b", 8), ("more", 12)):
        simulate(LocalStore(tmp_path / name), Settings(), HospitalConfig(patients), silent)
    a, b, more = (objects(tmp_path / name) for name in ("a", "b", "more"))
    assert a == b
    ecgs = {key: content for key, content in a.items() if key.startswith("ecg/files/")}
    assert ecgs
    assert ecgs.items() <= more.items()


def test_another_seed_makes_other_people(tmp_path: Path) -> None:
    for seed in (1, 2):
        simulate(LocalStore(tmp_path / str(seed)), Settings(), HospitalConfig(3, seed=seed), silent)
    assert objects(tmp_path / "1") != objects(tmp_path / "2")


def test_files_go_where_the_settings_say(tmp_path: Path) -> None:
    settings = Settings(ecg_prefix="heart/", report_prefix="cath/")
    simulate(LocalStore(tmp_path), settings, HospitalConfig(2), silent)
    assert (tmp_path / "heart/record_list.csv").exists()
    assert (tmp_path / "cath/cath.csv").exists()


@pytest.mark.slow
def test_the_manifest_covers_every_ecg_file(folder: Path) -> None:
    listed = [row["path"] for row in table(folder / "ecg/record_list.csv")]
    stored = {p.relative_to(folder / "ecg").with_suffix("") for p in (folder / "ecg/files").rglob("*.*")}
    assert len(listed) == len(set(listed))
    assert stored == set(map(Path, listed))


def test_wfdb_reads_what_was_written(folder: Path) -> None:
    key = next(key for key in sound_keys(folder) if key.endswith(".hea"))
    theirs, ours = wfdb.rdrecord(str(folder / key[:-4])), read(folder / key)
    order = [theirs.sig_name.index(lead) for lead in ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V6")]
    np.testing.assert_allclose(ours.signal[[0, 1, 2, 3, 4, 5, 6, 11]], theirs.p_signal.T[order], atol=1e-6)
    assert ours.sampling_rate == 500
    assert ours.sex in ("F", "M")
    assert ours.age is not None


def test_files_of_both_formats_name_device_and_site_and_no_indication(folder: Path) -> None:
    recordings = [read(folder / key) for key in sound_keys(folder)]
    for recording in recordings:
        assert recording.device in {
            f"{device.manufacturer} {device.model}" for device in SITES[str(recording.site)]
        }
        assert recording.indication is None
    assert {recording.site for recording in recordings} == set(SITES)


def test_checksums_hold(folder: Path) -> None:
    for key in [key for key in sound_keys(folder) if key.endswith(".hea")][:20]:
        record = wfdb.rdrecord(str(folder / key[:-4]), physical=False)
        assert [value % 65536 for value in record.checksum] == [
            value % 65536 for value in record.calc_checksum()
        ]
        assert record.init_value == record.d_signal[0].tolist()


def test_dicom_files_are_twelve_lead_ecgs_of_the_manifest_s_patient(folder: Path) -> None:
    keys = [key for key in sound_keys(folder) if key.endswith(".dcm")]
    patients = {row["key"]: row["patient_id"] for row in table(folder / "simulation/ecgs.csv")}
    for key in keys[:10]:
        dataset = pydicom.dcmread(BytesIO((folder / key).read_bytes()))
        assert dataset.SOPClassUID == TwelveLeadECGWaveformStorage
        assert dataset.PatientID == patients[key]
        recording = read(folder / key)
        assert recording.patient_id == patients[key]
        expected = dataset.waveform_array(0).T / 1000
        np.testing.assert_allclose(recording.signal, expected, atol=1e-5)


def test_limb_leads_are_consistent_to_the_last_count(folder: Path) -> None:
    for key in [key for key in sound_keys(folder) if key.endswith(".dcm")][:10]:
        counts = pydicom.dcmread(BytesIO((folder / key).read_bytes()))
        group = counts.WaveformSequence[0]
        signal = np.frombuffer(group.WaveformData, "<i2").reshape(-1, 12).T.astype(int)
        one, two, three, avr, avl, avf = signal[:6]
        np.testing.assert_array_equal(three, two - one)
        for lead, twice in ((avr, -(one + two)), (avl, one - three), (avf, two + three)):
            assert np.abs(2 * lead - twice).max() <= 1


@pytest.mark.slow
def test_sound_ecgs_measure_like_ecgs_and_pass_the_checks(folder: Path) -> None:
    keys = sound_keys(folder)[::4]
    rates = {row["key"]: float(row["heart_rate"]) for row in table(folder / "simulation/ecgs.csv")}
    kept, close = 0, 0
    for key in keys:
        recording = read(folder / key)
        kept += all(POLICY[finding.reason] is Action.WARN for finding in check(recording))
        measured = measure(recording.signal, recording.sampling_rate)
        assert measured is not None
        close += abs(measured.heart_rate - rates[key]) < 0.1 * rates[key]
    assert kept >= 0.99 * len(keys)
    assert close >= 0.9 * len(keys)


@pytest.mark.slow
def test_each_fault_is_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every file is broken, the reader treats each as the list expects."""
    monkeypatch.setattr("stence.simulation.faults.SHARE", 1.0)
    simulate(LocalStore(tmp_path), Settings(), HospitalConfig(120), silent)
    listed = table(tmp_path / "simulation/faults.csv")
    assert {row["fault"] for row in listed} == set(EXPECTED)
    for row in listed:
        assert verdict(tmp_path / row["key"]) in verdicts(row["expected"]), row["fault"]


def verdicts(expected: str) -> set[str]:
    """Any ECG may be disturbed a little, and is scored with a warning."""
    return {"refused"} if expected == "quarantined" else {"warned", "sound"}


def verdict(path: Path) -> str:
    try:
        findings = check(read(path))
    except UnusableEcgError:
        return "refused"
    if any(POLICY[finding.reason] is Action.QUARANTINE for finding in findings):
        return "refused"
    return "warned" if findings else "sound"


def test_copies_hold_the_same_content(folder: Path) -> None:
    copies = [row for row in table(folder / "simulation/faults.csv") if row["copy_of"]]
    assert {row["fault"] for row in copies} <= {SENT_AGAIN, WRONG_PATIENT}
    assert copies
    for row in copies:
        assert read(folder / row["key"]).content_hash == read(folder / row["copy_of"]).content_hash
        same_patient = row["key"].split("/")[3] == row["copy_of"].split("/")[3]
        assert same_patient == (row["fault"] == SENT_AGAIN)


def test_cath_reports_tell_the_truth_of_those_who_were_sent(folder: Path) -> None:
    reported: dict[str, dict[int, int]] = {}
    for row in table(folder / "reports/cath.csv"):
        reported.setdefault(row["patient_id"], {})[int(row["segment"])] = int(row["degree"])
    for row in table(folder / "simulation/truth.csv"):
        assert (row["patient_id"] in reported) == (row["sent"] == "1")
        if row["sent"] == "1":
            degrees = [int(row[f"segment_{segment}"]) for segment in range(1, 17)]
            assert degrees == [reported[row["patient_id"]].get(segment, 0) for segment in range(1, 17)]


def test_the_summary_counts_and_names_nobody(hospital: tuple[Path, SimulationSummary]) -> None:
    folder, summary = hospital
    text = summary.text()
    assert summary.patients == PATIENTS
    assert summary.ecgs == len(table(folder / "simulation/ecgs.csv"))
    assert f"{summary.angiographies:,} of them with angiography" in text
    assert not any(row["patient_id"] in text for row in table(folder / "simulation/truth.csv"))


def test_an_empty_hospital_is_possible(tmp_path: Path) -> None:
    summary = simulate(LocalStore(tmp_path), Settings(), HospitalConfig(0), silent)
    assert summary.ecgs == 0
    assert table(tmp_path / "ecg/record_list.csv") == []


def test_prevalence_is_that_of_a_hospital() -> None:
    rng = np.random.default_rng(5)
    patients = [draw_patient(rng, number) for number in range(3000)]
    severe = np.array([labels(p.degrees.tolist())[1] for p in patients])
    sent = np.array([p.sent for p in patients])
    assert 0.33 < sent.mean() < 0.40
    assert 0.14 < np.nanmean(severe) < 0.21
    assert 0.40 < np.nanmean(severe[sent]) < 0.50


@pytest.mark.slow
def test_the_best_possible_auroc_is_about_080_and_its_odds_are_calibrated() -> None:
    """An observer that is exact gives probabilities that come true."""
    rng, observer = np.random.default_rng(9), IdealObserver()
    log_odds, answers = [], []
    for patient in (draw_patient(rng, number) for number in range(6000)):
        if patient.sent:
            signs = ischaemia(patient.degrees) + ISCHAEMIA_SPREAD * rng.standard_normal(3)
            scar = patient.trees.scar[0] + SCAR_SPREAD * rng.standard_normal(3)
            log_odds.append(observer.log_odds(Evidence(patient.age, patient.sex, True, signs, scar)))
            answers.append(labels(patient.degrees.tolist()))
    best = dict(zip(TARGET_NAMES, best_auroc(np.array(log_odds), np.array(answers)), strict=True))
    assert 0.77 < best["stenosis_70"] < 0.83
    probability, severe = 1 / (1 + np.exp(-np.array(log_odds)[:, 1])), np.array(answers)[:, 1]
    for low in (0.0, 0.25, 0.5, 0.75):
        bin_ = (probability >= low) & (probability < low + 0.25) & ~np.isnan(severe)
        assert severe[bin_].mean() == pytest.approx(probability[bin_].mean(), abs=0.08)


def test_flow_reserve_goes_with_severe_narrowing_only() -> None:
    degrees = np.zeros((4, 16), dtype=np.int64)
    degrees[:, 6 - 1] = (0, 50, 70, 90)
    lad = ischaemia(degrees)[:, 0]
    assert lad[1] < 0.06
    assert 0.5 < lad[2] < 0.7
    assert lad[3] > 0.95
    assert (ischaemia(degrees)[:, 1:] < 0.01).all()


def test_more_burden_means_more_disease() -> None:
    rng = np.random.default_rng(0)
    light, heavy = (draw_trees(rng, np.full(2000, burden)).degrees.max(axis=1) for burden in (-2, 0))
    assert heavy.mean() > light.mean() + 20


def test_auroc_counts_pairs() -> None:
    score, answer = np.array([0.1, 0.4, 0.35, 0.8, 0.9]), np.array([0, 0, 1, 1, np.nan], dtype=np.float32)
    assert auroc(score, answer) == 0.75
    assert np.isnan(auroc(score[:2], answer[:2]))
