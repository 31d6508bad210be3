"""Cath reports: what rows of CSV and Parquet say, and which cannot be used."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from datetime import UTC, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stence.cohort import (
    Reports,
    read_reports,
)
from stence.ingest import tables
from stence.ingest.faults import Fault
from stence.objects import LocalStore
from stence.progress import silent
from support.cath import NOON, degrees, study
from support.pseudonyms import PSEUDONYMS, pseudonym

HEADER = "study_id,patient_id,performed_at,segment,degree\n"


class Folder:
    """A store with reports in it."""

    def __init__(self, path: Path) -> None:
        self.store = LocalStore(path)

    def put(self, name: str, *rows: str, header: str = HEADER) -> None:
        self.store.put(f"reports/{name}", (header + "".join(row + "\n" for row in rows)).encode())

    def read(self) -> Reports:
        return read_reports(self.store, "reports/", UTC, silent, PSEUDONYMS)


@pytest.fixture
def reports(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_study_gathers_its_rows_and_unlisted_segments_are_open(reports: Folder) -> None:
    reports.put("a.csv", "S1,P1,2026-03-01T12:00:00,6,70", "S1,P1,2026-03-01T12:00:00,1,35.5")
    assert reports.read().studies == (study("S1", pseudonym("P1"), degrees(s1=35.5, s6=70)),)


def test_a_study_without_narrowing_has_an_empty_segment(reports: Folder) -> None:
    reports.put("a.csv", "S1,P1,2026-03-01T12:00:00Z,,0", "S2,P2,2026-03-01T12:00:00Z,,")
    assert [study.degrees for study in reports.read().studies] == [degrees(), degrees()]


def test_the_worst_of_several_narrowings_of_a_segment_counts_however_often_it_is_sent(
    reports: Folder,
) -> None:
    twice = ("S1,P1,2026-03-01T12:00:00,6,70", "S1,P1,2026-03-01T13:00:00+01:00,6,50")
    reports.put("a.csv", *twice)
    reports.put("sent/again.csv", *reversed(twice), "S1,P1,2026-03-01T12:00:00,1,20")
    whole = study("S1", pseudonym("P1"), degrees(s1=20, s6=70), "sent/again.csv")
    assert reports.read() == Reports(2, (whole,), {}, (), {})


def test_files_that_give_a_segment_two_degrees_cancel_the_study_out(reports: Folder) -> None:
    reports.put("2026-03-01.csv", "S1,P1,2026-03-01T12:00:00,6,90", "S2,P2,2026-03-01T12:00:00,6,90")
    reports.put("2026-03-05-corrected.csv", "S1,P1,2026-03-01T12:00:00,6,40")
    found = reports.read()
    assert [each.study_id for each in found.studies] == ["S2"]
    assert found.left_out == {"study_two_degrees": 1}
    assert found.faults == (("reports/2026-03-05-corrected.csv", 2, "study_two_degrees"),)


REPORTED = HEADER.strip() + ",reported_at\n"


def test_a_report_that_says_when_it_was_made_supersedes_the_one_before(reports: Folder) -> None:
    later, first = "2026-03-05T09:00:00", "2026-03-01T18:00:00"
    reports.put("b-first.csv", f"S1,P9,2026-03-01T11:00:00,6,90,{first}", header=REPORTED)
    reports.put("a-later.csv", f"S1,P1,2026-03-01T12:00:00,1,40,{later}", header=REPORTED)
    reports.put("c-undated.csv", "S1,P8,2026-03-01T12:00:00,2,100,", header=REPORTED)
    found = reports.read()
    assert found.studies == (study("S1", pseudonym("P1"), degrees(s1=40), "a-later.csv"),)
    assert not found.faults


def test_a_superseded_report_cannot_contradict(reports: Folder) -> None:
    reports.put("a.csv", "S1,P1,2026-03-01T12:00:00,6,90", "S1,P2,2026-03-01T12:00:00,6,90")
    reports.put("b.csv", "S1,P2,2026-03-01T12:00:00,6,90,2026-03-05T09:00:00", header=REPORTED)
    found = reports.read()
    assert [each.patient_id for each in found.studies] == [pseudonym("P2")]
    assert not found.faults


def test_columns_may_come_in_any_order_with_others_between(reports: Folder) -> None:
    reports.put(
        "a.csv",
        '6,"x, y",P1,70,S1,2026-03-01T12:00:00',
        header="segment,note,patient_id,degree,study_id,performed_at\n",
    )
    assert reports.read().studies == (study("S1", pseudonym("P1"), degrees(s6=70)),)


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
        ("S1,P1,2026-03-01T12:00:00,6,inf", "row_degree_out_of_range"),
        ("S1,P1,2026-03-01T12:00:00,6,1e-400", "row_degree_out_of_range"),
        ("S1,P1,2026-03-01T12:00:00,6,9_0", "row_degree_out_of_range"),
        ("S1,P1,2026-03-01T12:00:00,6,٩٠", "row_degree_out_of_range"),
        pytest.param(f"S1,P1,2026-03-01T12:00:00,6,{'9' * 200}", "row_degree_out_of_range", id="digits"),
        ("S1,P1,2026-03-01T12:00:00,6,0.9", "row_degree_fraction"),
        ("S1,P1,2026-03-01T12:00:00,٣,90", "row_segment_unknown"),
        pytest.param(f"S1,P1,2026-03-01T12:00:00,{'1' * 5000},90", "row_segment_unknown", id="5000-digits"),
        ("S1,P1,2026-03-01,6,70", "row_date_without_time"),
        ("S1,P1,20260301,6,70", "row_date_without_time"),
        ("S1,P1,2026-W09-7,6,70", "row_date_without_time"),
        ("S1,P1,9999-12-31T23:59:59-12:00,6,70", "row_time_implausible"),
        ("S1,P1,0001-01-01T00:00:00+14:00,6,70", "row_time_implausible"),
        ("S1,P1,1800-01-01T00:00:00,6,70", "row_time_implausible"),
        ("S1,P1,2099-01-01T00:00:00,6,70", "row_time_implausible"),
        ("S1,0000000,2026-03-01T12:00:00,6,70", "row_id_missing"),
        ("S1,UNKNOWN,2026-03-01T12:00:00,6,70", "row_id_missing"),
        ("S1,WARD\\12345,2026-03-01T12:00:00,6,70", "row_id_unreadable"),
        ('S1,P"1,2026-03-01T12:00:00,6,70', "row_not_a_record"),
        pytest.param(f"S1,{'P' * 9000},2026-03-01T12:00:00,6,70", "row_id_unreadable", id="long-patient"),
        pytest.param(f"S1,P1,2026-03-01T12:00:00,6,{'7' * 200_000}", "row_not_a_record", id="long-line"),
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
    assert found.faults == (("reports/a.csv", 3, fault),)
    [said] = caplog.messages
    assert said.startswith(f"report: rows that cannot be used: {{'{fault}': 1}};")
    assert "reports/a.csv" not in said  # a key can hold a patient's name


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
    assert reports.read() == Reports(1, (), {fault: 1}, (Fault("reports/a.csv", 3, fault),), {})


def test_many_bad_rows_do_not_flood_the_log(reports: Folder, caplog: pytest.LogCaptureFixture) -> None:
    reports.put("a.csv", *["S1,P1,yesterday,6,70"] * 1000)
    assert reports.read().left_out == {"row_time_unreadable": 1000, "study_row_unusable": 1}
    assert len(caplog.messages) == 1
    assert "'row_time_unreadable': 1000" in caplog.messages[0]


def test_a_file_that_is_no_report_is_told_and_does_not_stop_the_others(reports: Folder) -> None:
    reports.put("a.csv", "S1,P1", header="study_id,patient_id\n")
    reports.put("b.csv", "S2,P2,2026-03-01T12:00:00,1,20")
    reports.store.put("reports/c.parquet", b"PAR1 and nothing more")
    reports.put("d.csv", "A,B,P3,2026-03-01T12:00:00,1,20", header=f"study_id,{HEADER}")
    reports.store.put("reports/e.csv", (HEADER + "S4,P4,2026-03-01T12:00:00,1,20\n").encode("utf-16"))
    found = reports.read()
    assert [each.study_id for each in found.studies] == ["S2"]
    assert found.left_out == {"file_column_missing": 2, "file_unreadable": 1, "file_column_doubled": 1}
    assert found.faults == (
        ("reports/a.csv", 1, "file_column_missing"),
        ("reports/c.parquet", 1, "file_unreadable"),
        ("reports/d.csv", 1, "file_column_doubled"),
        ("reports/e.csv", 1, "file_column_missing"),
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_any_system_ends_them(reports: Folder, end: str) -> None:
    lines = [HEADER.strip(), "S1,P1,2026-03-01T12:00:00,6,70", "S2,P2,2026-03-01T12:00:00,1,20", ""]
    reports.store.put("reports/a.csv", end.join(lines).encode())
    assert [each.study_id for each in reports.read().studies] == ["S1", "S2"]


def test_degrees_that_are_shares_of_one_are_refused_whole_ones_as_well(reports: Folder) -> None:
    day = "2026-03-01T12:00:00"
    reports.put(
        "shares.csv", f"S1,P1,{day},6,0.9", f"S2,P2,{day},6,0.7", f"S3,P3,{day},6,1.0", f"S4,P4,{day},,"
    )
    reports.put("percent.csv", f"S5,P5,{day},6,1", f"S6,P6,{day},6,90")
    found = reports.read()
    assert [each.study_id for each in found.studies] == ["S4", "S5", "S6"]
    assert found.left_out == {"row_degree_fraction": 3, "study_row_unusable": 3}


def test_parquet_times_in_a_zone_of_an_unknown_name_are_read(reports: Folder) -> None:
    zoned = pyarrow.array([NOON], pyarrow.timestamp("ns", tz="W. Europe Standard Time"))
    put_parquet(
        reports,
        "a.parquet",
        study_id=["S1"],
        patient_id=["P1"],
        performed_at=zoned,
        segment=[6],
        degree=[70.0],
    )
    assert [each.performed_at for each in reports.read().studies] == [NOON]


def put_parquet(reports: Folder, name: str, **columns: Any) -> bytes:
    """A Parquet file of one row group for every two rows; returns its bytes."""
    file = BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), file, row_group_size=2)
    reports.store.put(f"reports/{name}", file.getvalue())
    return file.getvalue()


def test_parquet_says_the_same_as_csv(reports: Folder) -> None:
    reports.put(
        "a.csv",
        "1,7,2026-03-01T12:00:00,6,70",
        "1,7,2026-03-01T12:00:00,1,35.5",
        "2,8,2026-03-01T12:00:00Z,,",
    )
    told = reports.read()
    reports.store.delete("reports/a.csv")
    put_parquet(
        reports,
        "a.parquet",
        study_id=[1, 1, 2],
        patient_id=[7.0, 7.0, 8.0],
        performed_at=[NOON, NOON, NOON],
        segment=[6.0, 1.0, None],
        degree=[70, 35.5, math.nan],
        remark=["", "", ""],
    )
    found = reports.read()
    assert [replace(each, report_key="") for each in found.studies] == [
        replace(each, report_key="") for each in told.studies
    ]
    assert not found.left_out


def test_a_bad_row_of_parquet_is_told_by_its_number(reports: Folder) -> None:
    put_parquet(
        reports,
        "a.parquet",
        study_id=["S1", "S2", "S3", "S4"],
        patient_id=["P1", "P2", None, "P\0"],
        performed_at=[NOON.isoformat(), "yesterday", NOON.isoformat(), NOON.isoformat()],
        segment=["1", "1", "1", "1"],
        degree=["20", "20", "20", "20"],
    )
    found = reports.read()
    assert [each.study_id for each in found.studies] == ["S1"]
    assert [(fault.line, fault.reason) for fault in found.faults] == [
        (2, "row_time_unreadable"),
        (3, "row_id_missing"),
        (4, "row_not_a_record"),
    ]


def test_studies_of_a_damaged_file_are_left_out_also_those_read_before_the_damage(
    reports: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROWS_TOGETHER", 2)
    whole = put_parquet(
        reports,
        "a.parquet",
        study_id=[f"S{n}" for n in range(4)],
        patient_id=["P"] * 4,
        performed_at=[NOON + timedelta(days=n) for n in range(4)],
        segment=[1] * 4,
        degree=[20.0] * 4,
    )
    metadata = pyarrow.parquet.read_metadata(BytesIO(whole))
    start = metadata.row_group(1).column(0).dictionary_page_offset
    reports.store.put("reports/a.parquet", whole[:start] + b"\xff" * 16 + whole[start + 16 :])
    found = reports.read()
    assert found.studies == ()
    assert found.left_out == {"file_unreadable": 1, "study_row_unusable": 2}


def test_the_first_intervention_is_kept_also_of_a_study_that_cannot_be_used(reports: Folder) -> None:
    reports.put(
        "a.csv",
        "S1,P1,2026-03-01T12:00:00,1,90,2026-03-01T13:00:00",
        "S1,P1,2026-03-01T12:00:00,6,90,2026-03-01T12:30:00",
        "S2,P1,2026-05-01T12:00:00,6,20,2026-05-01T14:00:00",
        "S3,P2,2026-03-01T12:00:00,6,90,2026-03-01T12:00:00",
        "S3,P2,2026-03-01T12:00:00,66,90,",
        header=HEADER.strip() + ",intervention_at\n",
    )
    found = reports.read()
    treated = NOON + timedelta(minutes=30)
    again = NOON.replace(month=5, hour=14)
    assert [each.intervention_at for each in found.studies] == [treated, again]
    assert found.interventions == {pseudonym("P1"): treated, pseudonym("P2"): NOON}


@given(st.integers(1, 60))
def test_where_a_stream_is_cut_makes_no_difference(size: int) -> None:
    content = (HEADER + "S1,Zoë,2026-03-01T12:00:00,6,70\r\n\nS2,P2,2026-03-01T12:00:00,1,20").encode(
        "utf-8-sig"
    )

    class Store(LocalStore):
        def stream(self, key: str):
            return (content[start : start + size] for start in range(0, len(content), size))

        def list(self, prefix: str, skipped: object = None):
            return iter([type("Found", (), {"key": "reports/a.csv"})])

        def __init__(self) -> None:
            self.url = "file:///"

    found = read_reports(Store(), "reports/", UTC, silent, PSEUDONYMS)  # type: ignore[arg-type]
    assert [(study.study_id, study.patient_id) for study in found.studies] == [
        ("S1", pseudonym("Zoë")),
        ("S2", pseudonym("P2")),
    ]
    assert not found.left_out


@pytest.mark.parametrize(("studies", "told"), [(9, False), (10, True)])
def test_many_studies_at_one_time_of_day_are_told_for_they_are_dates(
    reports: Folder, studies: int, told: bool
) -> None:
    rows = [f"S{day},P{day},2026-03-{1 + day:02}T00:00:00,6,70" for day in range(studies)]
    reports.put("a.csv", *rows)
    found = reports.read()
    assert len(found.studies) == studies
    assert [(fault.line, fault.reason) for fault in found.faults] == (
        [(0, "file_times_of_day_equal")] if told else []
    )
