"""The practice hospital's angiograms: real XA files that show the disease of the same patient's report."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import datetime
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

from stence.angiography.reasons import Reason
from stence.objects import LocalStore
from stence.progress import silent
from stence.settings import Settings
from stence.simulation import HospitalConfig, SimulationSummary, simulate
from stence.simulation.angiogram_faults import REASONS
from stence.simulation.angiogram_files import Study, angiogram_dataset, content_of
from stence.simulation.angiograms import Run, draw_runs
from stence.simulation.coronaries import RCA_SEGMENTS
from stence.simulation.coronary_tree import Tree, draw_tree
from stence.simulation.fluoroscopy import PIXEL_MM, SIZE, CArm, add_thickness
from stence.simulation.patients import Patient, draw_patient

PATIENTS = 40
STARTED_AT = datetime(2026, 5, 4, 9, 30)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SimulationSummary]:
    folder = tmp_path_factory.mktemp("hospital")
    return folder, simulate(LocalStore(folder), Settings(), HospitalConfig(PATIENTS, angiograms=True), silent)


@pytest.fixture(scope="module")
def folder(hospital: tuple[Path, SimulationSummary]) -> Path:
    return hospital[0]


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(path.read_text(encoding="utf-8"))))


def objects(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def sound_files(folder: Path) -> dict[str, FileDataset]:
    faulty = {row["key"] for row in table(folder / "simulation/angiogram_faults.csv")}
    keys = [row["key"] for row in table(folder / "simulation/angiograms.csv") if row["key"] not in faulty]
    return {key: pydicom.dcmread(folder / key) for key in keys}


def degrees(**narrowed: int) -> NDArray[np.int64]:
    """Degrees (16,), as in ``degrees(s7=80)``."""
    values = np.zeros(16, dtype=np.int64)
    for name, degree in narrowed.items():
        values[int(name[1:]) - 1] = degree
    return values


def patient(**narrowed: int) -> Patient:
    drawn = draw_patient(np.random.default_rng(0), 0)
    return replace(drawn, trees=drawn.trees._replace(degrees=degrees(**narrowed)[None]))


def runs(seed: int, **narrowed: int) -> list[Run]:
    return list(draw_runs(np.random.default_rng(seed), patient(**narrowed), STARTED_AT))


def tree(seed: int, **narrowed: int) -> Tree:
    return draw_tree(np.random.default_rng(seed), "M", degrees(**narrowed))


# the store


@pytest.mark.slow
def test_same_seed_same_bytes_and_more_patients_change_nobody(tmp_path: Path) -> None:
    for name, patients in (("a", 6), ("b", 6), ("more", 9)):
        simulate(LocalStore(tmp_path / name), Settings(), HospitalConfig(patients, angiograms=True), silent)
    a, b, more = (objects(tmp_path / name) for name in ("a", "b", "more"))
    assert a == b
    angiograms = {key: content for key, content in a.items() if key.startswith("angio/")}
    assert angiograms
    assert angiograms.items() <= more.items()


@pytest.mark.slow
def test_ecgs_and_reports_are_the_same_without_angiograms(tmp_path: Path) -> None:
    for name in ("with", "without"):
        config = HospitalConfig(5, angiograms=name == "with")
        simulate(LocalStore(tmp_path / name), Settings(), config, silent)
    with_them, without = objects(tmp_path / "with"), objects(tmp_path / "without")
    assert without.items() <= with_them.items()
    added = {
        key.split("/")[-1] if key.startswith("simulation") else "angio" for key in with_them.keys() - without
    }
    assert added == {"angio", "angiograms.csv", "angiogram_faults.csv"}


def test_files_go_where_the_settings_say(tmp_path: Path) -> None:
    settings = Settings(angiogram_prefix="cine/")
    simulate(LocalStore(tmp_path), settings, HospitalConfig(6, angiograms=True), silent)
    assert list((tmp_path / "cine").rglob("*.dcm"))
    assert not (tmp_path / "angio").exists()


def test_every_reported_study_has_three_to_five_runs_of_both_arteries(folder: Path) -> None:
    arteries: dict[tuple[str, str], list[str]] = {}
    for row in table(folder / "simulation/angiograms.csv"):
        arteries.setdefault((row["patient_id"], row["study_id"]), []).append(row["artery"])
    reported = {(row["patient_id"], row["study_id"]) for row in table(folder / "reports/cath.csv")}
    assert arteries.keys() == reported
    for shown in arteries.values():
        assert 3 <= len(shown) <= 5
        assert shown.count("LCA") >= 2
        assert shown.count("RCA") >= 1


def test_files_are_xa_runs_of_the_report_s_patient_and_study(folder: Path) -> None:
    times = {row["study_id"]: row["performed_at"] for row in table(folder / "reports/cath.csv")}
    rows = {row["key"]: row for row in table(folder / "simulation/angiograms.csv")}
    files = sound_files(folder)
    assert files
    for key, file in files.items():
        row = rows[key]
        subject, study = row["patient_id"], row["study_id"]
        assert key == f"angio/p{subject[:4]}/p{subject}/s{study}/{file.InstanceNumber}.dcm"
        assert (file.SOPClassUID, file.Modality) == (XRayAngiographicImageStorage, "XA")
        assert (file.PatientID, file.AccessionNumber) == (subject, study)
        assert float(file.PositionerPrimaryAngle) == float(row["primary_angle"])
        assert float(file.PositionerSecondaryAngle) == float(row["secondary_angle"])
        assert 12 <= 1000 / float(file.FrameTime) <= 15.001
        began = datetime.strptime(file.StudyDate + file.StudyTime, "%Y%m%d%H%M%S")
        assert began == datetime.fromisoformat(times[study])
        assert file.pixel_array.shape == (file.NumberOfFrames, SIZE, SIZE)
    assert len({file.SOPInstanceUID for file in files.values()}) == len(files)


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, RLELossless, ExplicitVRLittleEndian])
def test_each_transfer_syntax_holds_the_frames(syntax: UID) -> None:
    run = runs(3)[0]
    study = Study(patient(), 41_234_567, STARTED_AT)
    file = pydicom.dcmread(BytesIO(content_of(angiogram_dataset(study, run, syntax))))
    assert file.file_meta.TransferSyntaxUID == syntax
    read = file.pixel_array / (2**file.BitsStored - 1)
    apart = np.abs(read - run.frames)
    assert apart.mean() < 0.02
    assert apart.max() < (0.2 if syntax == JPEGBaseline8Bit else 1 / 2**file.BitsStored)


# what is seen


@pytest.mark.parametrize("slant", [0, 60])
def test_a_vessel_is_as_deep_as_a_cylinder_and_deeper_along_the_rays(slant: int) -> None:
    along = np.arange(-40, 40, 0.5)[:, None] * (0, np.sin(np.radians(slant)), np.cos(np.radians(slant)))
    image = np.zeros((SIZE, SIZE), dtype=np.float32)
    arm = CArm(0.0, 0.0, np.zeros(3))
    add_thickness(image, arm.project(along), np.full(160, 3.0), np.full(160, 0.5))
    across = image[SIZE // 2 - 8 : SIZE // 2 + 8].mean(axis=0) * np.cos(np.radians(slant))
    off = (np.arange(SIZE) - (SIZE - 1) / 2) * PIXEL_MM
    np.testing.assert_allclose(across, 2 * np.sqrt(np.maximum(9 - off**2, 0)), atol=0.9)
    np.testing.assert_allclose(across.sum() * PIXEL_MM, np.pi * 9, rtol=0.03)


@pytest.mark.parametrize(
    ("primary", "secondary", "to_the_right", "downwards"),
    [
        (0, 0, (1, 0, 0), (0, 0, -1)),
        (90, 0, (0, 1, 0), (0, 0, -1)),
        (-90, 0, (0, -1, 0), (0, 0, -1)),
        (0, 90, (1, 0, 0), (0, -1, 0)),
    ],
)
def test_the_c_arm_looks_from_where_its_angles_say(
    primary: float, secondary: float, to_the_right: tuple[int, ...], downwards: tuple[int, ...]
) -> None:
    arm = CArm(primary, secondary, np.zeros(3))
    seen = arm.project(np.array([to_the_right, downwards], dtype=float))[:, :2] - (SIZE - 1) / 2
    np.testing.assert_allclose(seen * PIXEL_MM, [[1, 0], [0, 1]], atol=1e-9)


def test_only_the_injected_artery_is_seen() -> None:
    healthy, ill = runs(5), runs(5, s1=80, s2=100)
    for plain, narrowed in zip(healthy, ill, strict=True):
        assert plain.right == narrowed.right
        assert np.array_equal(plain.frames, narrowed.frames) == (not plain.right)


def test_contrast_comes_and_goes() -> None:
    for run in runs(6):
        darkness = run.frames[0].mean() - run.frames.mean(axis=(1, 2))
        fullest = int(darkness.argmax())
        assert 2 < fullest < len(run.frames) - 1
        assert darkness[1] < 0.5 * darkness[fullest]
        assert darkness[-1] < 0.9 * darkness[fullest]


@pytest.mark.parametrize("segment", range(1, 17))
@pytest.mark.parametrize("degree", [30, 70])
def test_a_degree_narrows_its_segment_at_one_place_and_nothing_else(segment: int, degree: int) -> None:
    healthy, ill = tree(7), tree(7, **{f"s{segment}": degree})
    np.testing.assert_array_equal(ill.points, healthy.points)
    share = ill.radius / healthy.radius
    assert share[ill.segment == segment].min() == pytest.approx(1 - degree / 100)
    assert share[ill.segment != segment].min() == 1
    narrowed = np.flatnonzero(share < 1 - degree / 300)
    assert np.all(np.diff(narrowed) == 1)
    assert ill.filled.all()


def test_the_visible_diameter_shrinks_by_the_degree() -> None:
    arm = CArm(-25, -20, np.zeros(3))
    widths = []
    for degree in (0, 50, 75):
        seen = tree(8, s7=degree)
        image = np.zeros((SIZE, SIZE), dtype=np.float32)
        here = seen.segment == 7
        add_thickness(image, arm.project(seen.points[here]), seen.radius[here], seen.length[here])
        narrowest = int((tree(8, s7=75).radius / tree(8).radius)[here].argmin())
        widths.append(_depth_at(image, arm, seen.points[here], narrowest))
    assert widths[1] / widths[0] == pytest.approx(0.5, abs=0.12)
    assert widths[2] / widths[0] == pytest.approx(0.25, abs=0.12)


def _depth_at(image: NDArray[np.float32], arm: CArm, points: NDArray[np.float64], index: int) -> float:
    """Largest depth within a pixel and a half of a point."""
    column, row, _ = arm.project(points[index : index + 1])[0]
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return float(image[np.hypot(rows - row, columns - column) < 1.5].max())


def test_a_narrowing_is_brighter_in_the_frames_where_it_lies_and_nowhere_else() -> None:
    healthy, ill = runs(9, s2=0)[-1], runs(9, s2=85)[-1]
    brighter = ill.frames - healthy.frames
    assert brighter.max() > 0.1
    assert brighter.min() > -0.01
    changed = np.argwhere(brighter.max(axis=0) > 0.02)
    assert 0 < np.ptp(changed, axis=0).max() < 60


def test_nothing_beyond_an_occlusion_is_filled() -> None:
    occluded = tree(10, s6=100)
    for segment in (7, 8, 9, 10):
        assert not occluded.filled[occluded.segment == segment].any()
    for segment in (*RCA_SEGMENTS, 5, 11, 12, 13, 14, 15, 16):
        assert occluded.filled[occluded.segment == segment].all()
    stump = occluded.filled[occluded.segment == 6]
    assert stump[0]
    assert not stump[-1]


def test_an_occlusion_hides_what_lies_beyond() -> None:
    healthy, ill = runs(11)[-1], runs(11, s1=100)[-1]
    shown = [np.sum(run.frames[0] - run.frames.min(axis=0) > 0.15) for run in (healthy, ill)]
    assert shown[1] < 0.6 * shown[0]


# what is broken


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:End of file reached")
def test_each_fault_is_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stence.simulation.angiogram_faults.SHARE", 1.0)
    summary = simulate(LocalStore(tmp_path), Settings(), HospitalConfig(30, angiograms=True), silent)
    listed = table(tmp_path / "simulation/angiogram_faults.csv")
    assert {row["fault"] for row in listed} == set(REASONS)
    assert sum(summary.run_faults.values()) == summary.runs == len(listed)
    for row in listed:
        assert row["expected"] == "quarantined"
        assert broken_as(tmp_path / row["key"], row["key"].split("/")[2][1:]) == Reason(row["reason"])


def broken_as(path: Path, patient_id: str) -> Reason | None:
    """What a reader of the standard finds wrong."""
    file = pydicom.dcmread(path, stop_before_pixels=True)
    if file.Modality == "RF" and file.SOPClassUID == XRayRadiofluoroscopicImageStorage:
        return Reason.NOT_XA
    if file.PatientID != patient_id:
        return Reason.PATIENT_MISMATCH
    if "PositionerPrimaryAngle" not in file and "PositionerSecondaryAngle" not in file:
        return Reason.ANGLES_MISSING
    if file.NumberOfFrames == 1:
        return Reason.NOT_A_RUN
    try:
        frames = pydicom.dcmread(path).pixel_array
    except (ValueError, AttributeError, RuntimeError):
        return Reason.TRUNCATED
    return None if len(frames) == file.NumberOfFrames else Reason.TRUNCATED


def test_the_summary_counts_the_runs(hospital: tuple[Path, SimulationSummary]) -> None:
    folder, summary = hospital
    assert summary.runs == len(list((folder / "angio").rglob("*.dcm")))
    assert sum(summary.run_faults.values()) == len(table(folder / "simulation/angiogram_faults.csv"))
    assert f"{summary.runs:,} angiograms" in summary.text()
