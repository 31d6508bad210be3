"""What is read from the header of an X-ray angiogram, and what is refused, with which reason."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydicom import uid
from pydicom.dataset import Dataset, FileDataset

from stence.angiography import IncompleteHeaderError, Reason, UnusableAngiogramError, View, read_view
from support import xa


@pytest.fixture
def file() -> FileDataset:
    return xa.dataset(xa.run())


def view(file: Dataset) -> View:
    return read_view(xa.content(file))


def reason_of(file: Dataset) -> Reason:
    with pytest.raises(UnusableAngiogramError) as caught:
        view(file)
    assert xa.PATIENT_ID not in caught.value.detail
    return caught.value.reason


def enhanced(per_frame: list[tuple[float, float]], shared: tuple[float, float] | None = None) -> FileDataset:
    """Enhanced XA: the angles in functional groups, for each frame or for all."""
    file = xa.dataset(xa.run())
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = uid.EnhancedXAImageStorage
    del file.PositionerPrimaryAngle, file.PositionerSecondaryAngle
    file.SharedFunctionalGroupsSequence = [Dataset()] if shared is None else [_group(shared)]
    file.PerFrameFunctionalGroupsSequence = [_group(angles) for angles in per_frame]
    return file


def _group(angles: tuple[float, float]) -> Dataset:
    position, group = Dataset(), Dataset()
    position.PositionerPrimaryAngle, position.PositionerSecondaryAngle = map(str, angles)
    group.PositionerPositionSequence = [position]
    return group


def test_all_that_is_kept_of_a_header(file: FileDataset):
    assert view(file) == View(
        sop_instance_uid="2.25.123456789",
        study_instance_uid="2.25.1",
        accession_number="A17",
        study_id="S17",
        patient_id=xa.PATIENT_ID,
        acquired_at=datetime(2024, 3, 5, 8, 30, 0, 250000),
        primary_angle=-30.5,
        secondary_angle=20.0,
        frames=7,
        rows=64,
        columns=64,
        frame_seconds=0.05,
        transfer_syntax="1.2.840.10008.1.2.1",
        states_no_text=False,
    )


@pytest.mark.parametrize(("stated", "means_none"), [("NO", True), ("YES", False), ("", False)])
def test_only_a_file_that_says_so_shows_no_text(file: FileDataset, stated: str, means_none: bool):
    file.BurnedInAnnotation = stated
    assert view(file).states_no_text is means_none


def test_names_are_dropped(file: FileDataset):
    file.PatientBirthName = file.OperatorsName = file.ReferringPhysicianName = "Doe^Other"
    kept = repr(view(file))
    assert "Doe" not in kept
    assert "1950" not in kept


@pytest.mark.parametrize(
    "syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.JPEGBaseline8Bit]
)
def test_a_head_is_enough_once_it_reaches_the_pixels(syntax: uid.UID):
    content = xa.compressed(xa.run(), syntax)
    pixels = content.index(b"\xe0\x7f\x10\x00")
    whole = read_view(content)
    assert read_view(content[: pixels + 12]) == whole
    for end in range(0, pixels + 8):
        with pytest.raises(IncompleteHeaderError):
            read_view(content[:end])


def test_a_whole_file_without_pixels_is_truncated(file: FileDataset):
    content = xa.content(file)
    with pytest.raises(UnusableAngiogramError) as caught:
        read_view(content[: content.index(b"\xe0\x7f\x10\x00")], whole=True)
    assert caught.value.reason is Reason.TRUNCATED


def test_files_without_the_dicom_mark_are_not_guessed_at(file: FileDataset):
    with pytest.raises(UnusableAngiogramError) as caught:
        read_view(xa.content(file)[132:])
    assert caught.value.reason is Reason.NOT_DICOM


@pytest.mark.parametrize("keyword", ["PositionerPrimaryAngle", "PositionerSecondaryAngle"])
@pytest.mark.parametrize("value", [None, "", "nan", "200"])
def test_runs_without_both_angles_are_refused(file: FileDataset, keyword: str, value: str | None):
    if value is None:
        delattr(file, keyword)
    else:
        file[keyword].value = value
    assert reason_of(file) is Reason.ANGLES_MISSING


def test_other_modalities_are_refused(file: FileDataset):
    file.Modality = "RF"
    assert reason_of(file) is Reason.NOT_XA
    file.Modality = "XA"
    file.SOPClassUID = uid.XRayRadiofluoroscopicImageStorage
    assert reason_of(file) is Reason.NOT_XA


@pytest.mark.parametrize(
    ("part", "reason"), [("LSPINE", Reason.NOT_CORONARY), ("SKULL", Reason.NOT_CORONARY)]
)
def test_other_parts_of_the_body_are_refused(file: FileDataset, part: str, reason: Reason):
    file.BodyPartExamined = part
    assert reason_of(file) is reason
    file.BodyPartExamined = "HEART"
    assert view(file).frames == 7


@pytest.mark.parametrize("count", ["1", "", None])
def test_stills_are_no_runs(file: FileDataset, count: str | None):
    file.NumberOfFrames = count
    file.PixelData = file.PixelData[: 64 * 64]
    assert reason_of(file) is Reason.NOT_A_RUN


def test_the_time_comes_from_the_most_exact_element_there_is(file: FileDataset):
    file.AcquisitionDateTime = "20240305083001+0100"
    moment = datetime(2024, 3, 5, 8, 30, 1, tzinfo=timezone(timedelta(hours=1)))
    assert view(file).acquired_at == moment
    del file.AcquisitionDateTime, file.AcquisitionTime
    assert view(file).acquired_at == datetime(2024, 3, 5, 8, 15)
    file.TimezoneOffsetFromUTC = "-0500"
    assert view(file).acquired_at == datetime(2024, 3, 5, 8, 15, tzinfo=timezone(timedelta(hours=-5)))
    del file.StudyTime
    assert view(file).acquired_at is None


def test_the_frame_rate_comes_from_whatever_gives_it(file: FileDataset):
    del file.FrameTime
    file.FrameTimeVector = ["0", "80", "80", "80", "80", "80", "80"]
    assert view(file).frame_seconds == pytest.approx(0.08)
    del file.FrameTimeVector
    file.CineRate = "12"
    assert view(file).frame_seconds == pytest.approx(1 / 12)
    del file.CineRate
    assert view(file).frame_seconds is None


@pytest.mark.parametrize(
    ("primary", "increment", "expected"),
    [
        ("-30", None, -30.0),
        ("-30", "0", -30.0),
        ("-30", "0.2", -30.0),
        ("-30", "1", Reason.ROTATING),
        ("-30", [str(n) for n in range(7)], Reason.ROTATING),
        ("0", ["-29.5", *["-30"] * 6], -29.5),  # absolute angles as offsets from 0 (PS3.3 C.8.7.5.1.3)
        ("0", [str(10 * n) for n in range(7)], Reason.ROTATING),
    ],
)
def test_a_c_arm_that_turns_is_refused(
    file: FileDataset, primary: str, increment: str | list[str] | None, expected: float | Reason
):
    file.PositionerMotion = "DYNAMIC"
    file.PositionerPrimaryAngle, file.PositionerPrimaryAngleIncrement = primary, increment
    if isinstance(expected, Reason):
        assert reason_of(file) is expected
    else:
        assert view(file).primary_angle == expected


def test_enhanced_objects_keep_their_angles_in_functional_groups():
    per_frame = view(enhanced([(40.0, -20.0), *[(40.5, -20.0)] * 6]))
    assert (per_frame.primary_angle, per_frame.secondary_angle) == (40.0, -20.0)
    for_all = view(enhanced([], shared=(-10.0, 30.0)))
    assert (for_all.primary_angle, for_all.secondary_angle) == (-10.0, 30.0)
    assert reason_of(enhanced([(5.0 * n, 0.0) for n in range(7)])) is Reason.ROTATING
    assert reason_of(enhanced([])) is Reason.ANGLES_MISSING


def test_biplane_runs_are_two_views_or_refused(file: FileDataset):
    file.ImageType = ["ORIGINAL", "PRIMARY", "BIPLANE B"]
    file.SOPClassUID = "1.2.840.10008.5.1.4.1.1.12.3"  # retired bi-plane storage
    assert view(file).primary_angle == -30.5
    file.BiPlaneAcquisitionSequence = [Dataset(), Dataset()]
    assert reason_of(file) is Reason.TWO_PLANES


@pytest.mark.parametrize(
    ("keyword", "value", "reason"),
    [
        ("NumberOfFrames", "2147483647", Reason.IMPLAUSIBLE_SIZE),
        ("NumberOfFrames", "-5", Reason.IMPLAUSIBLE_SIZE),
        ("NumberOfFrames", "3000000", Reason.IMPLAUSIBLE_SIZE),
        ("Rows", 65535, Reason.IMPLAUSIBLE_SIZE),
        ("Columns", 0, Reason.IMPLAUSIBLE_SIZE),
        ("Rows", None, Reason.BROKEN_HEADER),
        ("SOPInstanceUID", "", Reason.BROKEN_HEADER),
        ("StudyInstanceUID", "Doe^Jane", Reason.BROKEN_HEADER),
        ("SamplesPerPixel", 3, Reason.UNSUPPORTED_PIXELS),
        ("BitsAllocated", 32, Reason.UNSUPPORTED_PIXELS),
        ("PhotometricInterpretation", "PALETTE COLOR", Reason.UNSUPPORTED_PIXELS),
    ],
)
def test_contradictions_are_refused(file: FileDataset, keyword: str, value: object, reason: Reason):
    setattr(file, keyword, value)
    assert reason_of(file) is reason


@pytest.mark.parametrize("syntax", [uid.DeflatedExplicitVRLittleEndian, uid.MPEG4HP41])
def test_other_transfer_syntaxes_are_unsupported(file: FileDataset, syntax: uid.UID):
    file.file_meta.TransferSyntaxUID = syntax
    if syntax.is_encapsulated:
        xa.set_encapsulated(file, syntax, [b"12"])
    assert reason_of(file) is Reason.UNSUPPORTED_PIXELS


def test_every_reason_says_what_to_do(file: FileDataset):
    del file.PositionerPrimaryAngle
    with pytest.raises(UnusableAngiogramError, match=r"does not give .* primary angle; export it"):
        view(file)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "angles", "frames"),
    [
        ("rubo_0002", (-32.0, 2.0), 96),
        ("phantom_IM1", (31.3, 0.1), 14),
        ("phantom_IM2", (-27.3, -0.1), 12),
        ("phantom_IM3", (-0.8, -23.2), 12),
        ("phantom_IM4", (0.1, 28.7), 10),
    ],
)
def test_real_runs(shared: Path, name: str, angles: tuple[float, float], frames: int):
    read = read_view((shared / f"data/xa/{name}.dcm").read_bytes()[:65536])
    assert (read.primary_angle, read.secondary_angle) == angles
    assert (read.frames, read.rows, read.columns) == (frames, 512, 512)


@pytest.mark.shared
def test_a_real_spine_is_refused(shared: Path):
    with pytest.raises(UnusableAngiogramError) as caught:
        read_view((shared / "data/xa/rubo_0015_not_coronary.dcm").read_bytes())
    assert caught.value.reason is Reason.NOT_XA


@pytest.mark.parametrize("number", ["WARD\\12345", "12\0004", "9" * 65, "P\ufffd1", "12\x1b[2J"])
def test_a_patient_number_that_cannot_be_read_with_certainty(file: FileDataset, number: str):
    file.SpecificCharacterSet = "ISO_IR 192"
    file.PatientID = number
    assert reason_of(file) is Reason.UNREADABLE_PATIENT


@pytest.mark.parametrize("number", ["", "0000000", "UNKNOWN", " ", "TEST"])
def test_a_placeholder_names_nobody(file: FileDataset, number: str):
    file.PatientID = number
    assert view(file).patient_id == ""


def test_a_patient_number_in_its_character_set(file: FileDataset):
    file.SpecificCharacterSet = "ISO_IR 192"
    file.PatientID = "Jo\u0308rg"
    assert view(file).patient_id == "J\u00f6rg"


@pytest.mark.parametrize("number", ["A" * 300, "A\\B", "UNKNOWN", "0000", "A\0007", "A\ufffd"])
def test_a_study_number_that_cannot_be_relied_on_finds_no_study(file: FileDataset, number: str):
    file.SpecificCharacterSet = "ISO_IR 192"
    file.AccessionNumber = file.StudyID = number
    assert (view(file).accession_number, view(file).study_id) == ("", "")


@pytest.mark.parametrize(
    "moment",
    ["00010101000000+0100", "99991231235959-1200", "19000101120000", "20990101120000", "20240305083000+9900"],
)
def test_times_that_nobody_can_mean_are_none(file: FileDataset, moment: str):
    file.AcquisitionDateTime = moment
    assert view(file).acquired_at is None


@pytest.mark.parametrize("frames", ["2147483648", "20001", "9" * 200])
def test_more_frames_than_a_run_has(file: FileDataset, frames: str):
    file.Rows = file.Columns = 1
    file.NumberOfFrames = frames
    assert reason_of(file) is Reason.IMPLAUSIBLE_SIZE


# --- just inside and just outside each limit ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("angles", "turns"),
    [
        ([(40.0, -20.0), (42.0, -20.0)], False),
        ([(40.0, -20.0), (42.1, -20.0)], True),
        ([(40.0, -20.0), (40.0, -22.0)], False),
        ([(40.0, -20.0), (40.0, -22.1)], True),
        ([(40.0, -20.0), (41.5, -20.0), (38.9, -20.0), (40.0, -20.0)], True),  # there and back
    ],
)
def test_a_c_arm_may_waver_by_two_degrees(angles: list[tuple[float, float]], turns: bool):
    if turns:
        assert reason_of(enhanced(angles)) is Reason.ROTATING
    else:
        assert view(enhanced(angles)).primary_angle == 40.0


@pytest.mark.parametrize(("step", "turns"), [("0.33", False), ("0.34", True), ("-0.34", True)])
def test_a_step_of_the_c_arm_lies_between_frames(file: FileDataset, step: str, turns: bool):
    """Six steps between seven frames."""
    file.PositionerSecondaryAngleIncrement = step
    if turns:
        assert reason_of(file) is Reason.ROTATING
    else:
        assert view(file).secondary_angle == 20.0


@pytest.mark.parametrize(
    ("primary", "secondary", "possible"),
    [
        ("180", "90", True),
        ("-180", "-90", True),
        ("180.5", "0", False),
        ("0", "90.5", False),
        ("0", "-90.5", False),
    ],
)
def test_angles_that_a_c_arm_can_have(file: FileDataset, primary: str, secondary: str, possible: bool):
    file.PositionerPrimaryAngle, file.PositionerSecondaryAngle = primary, secondary
    if possible:
        assert (view(file).primary_angle, view(file).secondary_angle) == (float(primary), float(secondary))
    else:
        assert reason_of(file) is Reason.ANGLES_MISSING


@pytest.mark.parametrize(
    ("frames", "rows", "columns", "bits", "accepted"),
    [
        (2, 4096, 4096, 16, True),
        (2, 4097, 64, 8, False),
        (2, 64, 4097, 8, False),
        (20_000, 64, 64, 8, True),
        (20_001, 64, 64, 8, False),
        (128, 4096, 4096, 8, True),
        (129, 4096, 4096, 8, False),
        (64, 4096, 4096, 16, True),
        (65, 4096, 4096, 16, False),
    ],
)
def test_sizes_that_a_run_can_have(
    file: FileDataset, frames: int, rows: int, columns: int, bits: int, accepted: bool
):
    file.NumberOfFrames, file.Rows, file.Columns, file.BitsAllocated = frames, rows, columns, bits
    if accepted:
        assert (view(file).frames, view(file).rows, view(file).columns) == (frames, rows, columns)
    else:
        assert reason_of(file) is Reason.IMPLAUSIBLE_SIZE


@pytest.mark.parametrize("part", ["CAROTID", "carotid", "PELVIS", "R LEG", "ABDOMEN"])
def test_other_arteries_are_not_coronary(file: FileDataset, part: str):
    file.BodyPartExamined = part
    assert reason_of(file) is Reason.NOT_CORONARY


@pytest.mark.parametrize("part", ["", "CORONARY ARTERY", "CHEST"])
def test_a_heart_may_be_named_otherwise_or_not_at_all(file: FileDataset, part: str):
    file.BodyPartExamined, file.Modality = part, ""
    assert view(file).frames == 7
