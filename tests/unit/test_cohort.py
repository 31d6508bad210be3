"""Cath reports, splits, pairing, and the cohort on disk."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stence.cohort import Pairing, Reports, Split, Study, read_reports, split_of
from stence.cohort.dataset import RAW_SAMPLES, CohortWriter, Example, is_written, read_cohort
from stence.cohort.splits import SHARES
from stence.errors import StenceError
from stence.objects import LocalStore
from stence.progress import silent

HEADER = "study_id,patient_id,performed_at,segment,degree\n"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Folder:
    """A store with reports in it."""

    def __init__(self, path: Path) -> None:
        self.store = LocalStore(path)

    def put(self, name: str, *rows: str, header: str = HEADER) -> None:
        self.store.put(f"reports/{name}", (header + "".join(row + "\n" for row in rows)).encode())

    def read(self) -> Reports:
        return read_reports(self.store, "reports/", UTC, silent)


@pytest.fixture
def reports(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def degrees(**narrowed: float) -> tuple[float, ...]:
    return tuple(narrowed.get(f"s{segment}", 0.0) for segment in range(1, 17))


def test_a_study_gathers_its_rows_and_unlisted_segments_are_open(reports: Folder) -> None:
    reports.put("a.csv", "S1,P1,2026-03-01T12:00:00,6,70", "S1,P1,2026-03-01T12:00:00,1,35.5")
    assert reports.read().studies == (Study("S1", "P1", NOON, degrees(s1=35.5, s6=70)),)


def test_a_study_without_narrowing_has_an_empty_segment(reports: Folder) -> None:
    reports.put("a.csv", "S1,P1,2026-03-01T12:00:00Z,,0", "S2,P2,2026-03-01T12:00:00Z,,")
    assert [study.degrees for study in reports.read().studies] == [degrees(), degrees()]


def test_the_worst_of_several_narrowings_of_a_segment_counts_across_files(reports: Folder) -> None:
    reports.put("a.csv", "S1,P1,2026-03-01T12:00:00,6,70")
    reports.put("sent/again.csv", "S1,P1,2026-03-01T13:00:00+01:00,6,50")
    assert reports.read() == Reports((Study("S1", "P1", NOON, degrees(s6=70)),), {})


def test_columns_may_come_in_any_order_with_others_between(reports: Folder) -> None:
    reports.put(
        "a.csv",
        '6,"x, y",P1,70,S1,2026-03-01T12:00:00',
        header="segment,note,patient_id,degree,study_id,performed_at\n",
    )
    assert reports.read().studies == (Study("S1", "P1", NOON, degrees(s6=70)),)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("S1,P1,2026-03-01T12:00:00,6", "row_not_a_record"),
        ('S1,P1,2026-03-01T12:00:00,"6,70', "row_not_a_record"),
        ("S1,,2026-03-01T12:00:00,6,70", "row_id_missing"),
        ("S1,P1,yesterday,6,70", "row_time_unreadable"),
        ("S1,P1,2026-03-01T12:00:00,17,70", "row_segment_unknown"),
        ("S1,P1,2026-03-01T12:00:00,LAD,70", "row_segment_unknown"),
        ("S1,P1,2026-03-01T12:00:00,6,101", "row_degree_out_of_range"),
        ("S1,P1,2026-03-01T12:00:00,6,nan", "row_degree_out_of_range"),
        ("S1,P1,2026-03-01T12:00:00,6,", "row_degree_out_of_range"),
        ("S1,P1,2026-03-01T12:00:00,,70", "row_degree_out_of_range"),
    ],
)
def test_a_bad_row_is_told_by_line_and_its_study_left_out(
    reports: Folder, caplog: pytest.LogCaptureFixture, row: str, fault: str
) -> None:
    good = "S1,P1,2026-03-01T12:00:00,1,20"
    reports.put("a.csv", good, row, "S2,P2,2026-03-01T12:00:00,1,20")
    with caplog.at_level(logging.WARNING):
        found = reports.read()
    assert [study.study_id for study in found.studies] == ["S2"]
    assert found.left_out == {fault: 1, "study_row_unusable": 1}
    assert caplog.messages == [f"reports/a.csv line 3 left out: {fault}"]


def test_bytes_that_are_not_utf_8_spoil_only_their_study(reports: Folder) -> None:
    rows = b"S1,P\xff1,2026-03-01T12:00:00,6,70\nS2,P2,2026-03-01T12:00:00,6,70\n"
    reports.store.put("reports/a.csv", HEADER.encode() + rows)
    found = reports.read()
    assert [study.study_id for study in found.studies] == ["S2"]
    assert found.left_out == {"row_not_a_record": 1, "study_row_unusable": 1}


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("S1,P2,2026-03-01T12:00:00,6,70", "study_two_patients"),
        ("S1,P1,2026-03-02T12:00:00,6,70", "study_two_times"),
    ],
)
def test_a_study_that_contradicts_itself_is_left_out(reports: Folder, row: str, fault: str) -> None:
    reports.put("a.csv", "S1,P1,2026-03-01T12:00:00,6,70", row)
    assert reports.read() == Reports((), {fault: 1})


def test_many_bad_rows_do_not_flood_the_log(reports: Folder, caplog: pytest.LogCaptureFixture) -> None:
    reports.put("a.csv", *["S1,P1,yesterday,6,70"] * 1000)
    assert reports.read().left_out == {"row_time_unreadable": 1000, "study_row_unusable": 1}
    assert len(caplog.messages) == 21
    assert caplog.messages[-1] == "reports/a.csv: 1000 rows left out in all"


def test_no_report_and_a_file_that_is_none_are_refused_by_name(reports: Folder) -> None:
    with pytest.raises(StenceError, match="no cath report"):
        reports.read()
    reports.put("a.csv", header="study_id,patient_id\n")
    with pytest.raises(StenceError, match=r"reports/a\.csv .* lacks performed_at, segment, degree"):
        reports.read()


@given(st.integers(1, 60))
def test_where_a_stream_is_cut_makes_no_difference(size: int) -> None:
    content = (HEADER + "S1,Zoë,2026-03-01T12:00:00,6,70\r\n\nS2,P2,2026-03-01T12:00:00,1,20").encode(
        "utf-8-sig"
    )

    class Store(LocalStore):
        def stream(self, key: str):
            return (content[start : start + size] for start in range(0, len(content), size))

        def list(self, prefix: str):
            return iter([type("Found", (), {"key": "reports/a.csv"})])

        def __init__(self) -> None:
            self.url = "file:///"

    found = read_reports(Store(), "reports/", UTC, silent)  # type: ignore[arg-type]
    assert [(study.study_id, study.patient_id) for study in found.studies] == [("S1", "Zoë"), ("S2", "P2")]
    assert not found.left_out


@pytest.mark.parametrize(
    ("patient_id", "split"),
    [
        ("patient 2", Split.TRAIN),
        ("patient 3", Split.TRAIN),
        ("patient 20", Split.VALIDATION),
        ("patient 22", Split.VALIDATION),
        ("patient 0", Split.CALIBRATION),
        ("patient 5", Split.CALIBRATION),
        ("patient 1", Split.TEST),
        ("patient 6", Split.TEST),
    ],
)
def test_patients_stay_where_the_first_release_put_them(patient_id: str, split: Split) -> None:
    assert split_of(patient_id) is split


@given(st.text())
def test_every_patient_has_one_split(patient_id: str) -> None:
    assert split_of(patient_id) is split_of(patient_id)
    assert split_of(patient_id) in Split


def test_splits_get_their_shares() -> None:
    splits = [split_of(str(number)) for number in range(20_000)]
    for split, share in SHARES.items():
        assert splits.count(split) / len(splits) == pytest.approx(share, abs=0.01)


hours = st.integers(-2000, 2000).map(lambda count: NOON + timedelta(hours=count))


@given(st.lists(hours, max_size=6), hours, st.integers(1, 40))
def test_an_ecg_belongs_to_the_first_study_after_it_within_the_days(
    performed: list[datetime], acquired: datetime, days: int
) -> None:
    studies = [Study(str(n), "P1", moment, degrees()) for n, moment in enumerate(performed)]
    pairing = Pairing([*studies, Study("other", "P2", acquired, degrees())], days)
    fitting = [moment for moment in performed if timedelta(0) <= moment - acquired <= timedelta(days=days)]
    found = pairing.study_of("P1", acquired)
    assert (found.performed_at if found else None) == min(fitting, default=None)


def test_a_patient_without_study_has_none(reports: Folder) -> None:
    assert Pairing([], 30).study_of("P1", NOON) is None
    assert not Pairing([], 30).has_study("P1")


def example(content: str, patient: str, split: Split, value: float) -> Example:
    shape = (12, RAW_SAMPLES) if split is Split.TRAIN else (2, 12, 1500)
    labels = np.array([1, 0, 0, 0, 0, np.nan], dtype=np.float32)
    signal = np.full(shape, value, dtype=np.float32)
    return Example(content, patient, "S", split, labels, shape[-1], signal, sex="F", age=None)


def test_a_cohort_comes_back_as_it_was_written(tmp_path: Path) -> None:
    writer = CohortWriter(tmp_path / "cohort")
    for content, patient, split, value in [
        ("aa", "P1", Split.TRAIN, 1),
        ("bb", "P2", Split.TRAIN, 2),
        ("cc", "P1", Split.TRAIN, 3),
        ("dd", "P3", Split.TEST, 4),
    ]:
        writer.add(example(content, patient, split, value))
    assert not is_written(tmp_path / "cohort")
    writer.finish(without={"bb"}, left_out={"ecg_patient_conflict": 2})

    cohort = read_cohort(tmp_path / "cohort", windows=2)
    train, test = cohort.parts[Split.TRAIN], cohort.parts[Split.TEST]
    assert train.contents == ("aa", "cc")
    assert [train.signals[row].max() for row in train.rows] == [1, 3]
    assert train.weights.tolist() == [0.5, 0.5]
    assert train.patient_count == 1
    assert test.signals.shape == (1, 2, 12, 1500)
    np.testing.assert_array_equal(test.labels, [[1, 0, 0, 0, 0, np.nan]])
    assert (test.sex.tolist(), np.isnan(test.age).tolist()) == (["F"], [True])
    assert len(cohort.parts[Split.VALIDATION]) == 0
    assert cohort.left_out == {"ecg_patient_conflict": 2}


def test_the_fingerprint_tells_content_labels_and_split_but_not_order(tmp_path: Path) -> None:
    def fingerprint(*examples: Example) -> str:
        writer = CohortWriter(tmp_path / "cohort")
        for each in examples:
            writer.add(each)
        writer.finish(without=(), left_out={})
        return read_cohort(tmp_path / "cohort", windows=2).fingerprint

    one, other = example("aa", "P1", Split.TRAIN, 1), example("bb", "P2", Split.TEST, 2)
    assert fingerprint(one, other) == fingerprint(other, one)
    assert fingerprint(one) != fingerprint(one, other)
    assert fingerprint(one) != fingerprint(example("aa", "P1", Split.TEST, 1))


def test_no_patient_identifier_is_kept_with_the_signals(tmp_path: Path) -> None:
    writer = CohortWriter(tmp_path / "cohort")
    writer.add(example("aa", "MRN-4711", Split.TRAIN, 1))
    writer.finish(without=(), left_out={})
    assert not [path for path in (tmp_path / "cohort").iterdir() if b"MRN-4711" in path.read_bytes()]
