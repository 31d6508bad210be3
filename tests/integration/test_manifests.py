"""Manifests: strict, mirrored, and none of them stops the others."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy import Engine, select, text

from stence import scoring
from stence.database.tables import (
    ecgs,
    manifest_rows,
    manifests,
    source_faults,
    worklist,
)
from stence.objects import LocalStore, ObjectStore
from stence.settings import Settings
from support.database import tampering
from support.identity import HEADER, TIME, listed, patients_by_key, put_ecgs, put_manifest, put_named
from support.models import ShapeScorer
from support.scoring import ScoreAll, all_rows, in_quarantine

FLAGGING = 0.0


@pytest.fixture
def score(score_all: ScoreAll) -> ScoreAll:
    """Score with a model that flags every ECG."""
    return lambda version="shape-1": score_all(ShapeScorer(version, threshold=FLAGGING))


def faults(engine: Engine) -> list[tuple[int, str]]:
    open_faults = select(source_faults.c.line, source_faults.c.reason).where(source_faults.c.state == "open")
    with engine.connect() as connection:
        return sorted(tuple(row) for row in connection.execute(open_faults))


STRAY_QUOTES = f"""subject_id,indication,ecg_time,path
P0,"chest pain,{TIME},0
P1,dyspnoea,{TIME},1
P2,pain at 6" scar,{TIME},2
P3,"syncope, \"\"twice\"\"",{TIME},3
"""


def test_a_stray_quote_spoils_its_own_line_and_gives_no_ecg_to_another_patient(
    engine: Engine, store: ObjectStore, score: ScoreAll
) -> None:
    put_ecgs(store, "0", "1", "2", "3")
    store.put("ecg/record_list.csv", STRAY_QUOTES.encode())
    score()
    assert patients_by_key(engine) == {"ecg/1.hea": "P1", "ecg/3.hea": "P3"}
    assert in_quarantine(engine) == {"ecg/0.hea": "unknown_patient", "ecg/2.hea": "unknown_patient"}
    assert faults(engine) == [(2, "row_not_a_record"), (4, "row_not_a_record")]
    assert all_rows(engine, manifests.c.rows_read, manifests.c.rows_refused) == [(2, 2)]


GOOD = "P1,1,x,2026-03-01 08:30:00,1"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('P9,"9,x,,1', "row_not_a_record"),
        ("P9,9,x\ry,,2", "row_not_a_record"),
        ("P9,9,x,,2,more", "row_not_a_record"),
        ("P9\0,9,x,,2", "row_not_a_record"),
        (f"P9,9,x,,{'y' * 200_000}", "row_not_a_record"),
        (f"P9,9,x,,{'y' * 9000}", "row_path_unusable"),
        ("P9,9,x,,", "row_path_unusable"),
        ("P9,9,x,,../../1", "row_path_unusable"),
        ("P9,9,x,,/etc/1", "row_path_unusable"),
        ("P9,9,x,,a\x1b[2Jb", "row_path_unusable"),
        (",9,x,,2", "row_id_missing"),
        ("0000000,9,x,,2", "row_id_missing"),
        ("TEST,9,x,,2", "row_id_missing"),
        ("WARD\\12,9,x,,2", "row_id_unreadable"),
        (f"{'P' * 65},9,x,,2", "row_id_unreadable"),
        ("P\u200b9,9,x,,2", "row_id_unreadable"),
    ],
)
def test_a_row_that_cannot_be_used_costs_itself_only(
    engine: Engine, store: ObjectStore, score: ScoreAll, line: str, reason: str
) -> None:
    put_ecgs(store, "1")
    store.put("ecg/record_list.csv", f"{HEADER}\n{line}\n{GOOD}\n".encode())
    score()
    assert patients_by_key(engine) == {"ecg/1.hea": "P1"}
    assert {found for _, found in faults(engine)} == {reason}


def test_a_manifest_in_latin_1_makes_no_two_patients_one(
    engine: Engine, store: ObjectStore, score: ScoreAll
) -> None:
    put_ecgs(store, "1", "2", "3")
    rows = f"{HEADER}\nPÄ1,1,x,,1\nPÖ1,1,x,,2\nP3,1,x,,3\n"
    store.put("ecg/record_list.csv", rows.encode("latin-1"))
    score()
    assert patients_by_key(engine) == {"ecg/3.hea": "P3"}
    assert faults(engine) == [(2, "row_not_a_record"), (3, "row_not_a_record")]


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_lines_may_end_as_any_system_ends_them(
    engine: Engine, store: ObjectStore, score: ScoreAll, end: str
) -> None:
    put_ecgs(store, "1")
    store.put("ecg/record_list.csv", end.join([HEADER, GOOD, ""]).encode())
    score()
    assert patients_by_key(engine) == {"ecg/1.hea": "P1"}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("subject_id,path,path", "file_column_doubled"),
        ("subject_id,subject_id,path", "file_column_doubled"),
        ("patient,path", "file_column_missing"),
        ("\ufffd", "file_column_missing"),
    ],
)
def test_a_manifest_that_is_no_table_costs_itself_only(
    engine: Engine, store: ObjectStore, score: ScoreAll, header: str, reason: str
) -> None:
    put_ecgs(store, "1")
    put_named(store, "own", "P7", 5)
    store.put("ecg/record_list.csv", f"{header}\nP1,1,1\n".encode())
    score()
    assert patients_by_key(engine) == {"ecg/own.hea": "P7"}
    assert faults(engine) == [(0, reason)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01 00:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31 23:59:59",
        "9999-12-31T23:59:59-12:00",
        "1800-01-01 00:00:00",
        "1900-01-01 00:00:00",
        "2099-01-01 00:00:00",
        "2026-03-01",
        "yesterday",
    ],
)
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Los_Angeles"])
def test_a_time_that_cannot_be_meant_is_none_and_stops_nobody(
    engine: Engine, store: ObjectStore, settings: Settings, time: str, zone: str
) -> None:
    put_ecgs(store, "1", "2")
    store.put(
        "ecg/record_list.csv", f"{HEADER}\nP1,1,x,{time},1\n{GOOD[:-1].replace('P1', 'P2')}2\n".encode()
    )
    there = settings.model_copy(update={"timezone": zone})
    summary = scoring.index(engine, store, there)
    assert (summary.manifest_rows, summary.manifest_rows_refused) == (2, 0)
    times = dict(all_rows(engine, manifest_rows.c.patient_id, manifest_rows.c.acquired_at))
    assert times["P1"] is None
    assert times["P2"] is not None
    assert [line for line, _ in faults(engine)] == [2]


def test_what_manifests_say_of_site_and_time_may_differ_and_the_time_is_none_then(
    engine: Engine, store: ObjectStore, score: ScoreAll
) -> None:
    put_ecgs(store, "1")
    rows = f"{HEADER}\nP1,,,2026-03-01 08:30:00,1\nP1,,,2026-03-02 08:30:00,1\n"
    store.put("ecg/record_list.csv", rows.encode())
    score()
    assert all_rows(engine, ecgs.c.patient_id, ecgs.c.acquired_at) == [("P1", None)]


def test_a_closed_manifest_costs_itself_and_keeps_what_it_said(
    engine: Engine, store: ObjectStore, score: ScoreAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stence.errors import ObjectForbiddenError

    put_ecgs(store, "1", "2")
    put_manifest(store, ("P1", "1"))
    put_manifest(store, ("P2", "../2"), key="ecg/a/record_list.csv")
    score()
    stream = LocalStore.stream

    def closed(self: LocalStore, key: str):
        if key == "ecg/record_list.csv":
            raise ObjectForbiddenError("closed")
        return stream(self, key)

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "stream", closed)
        put_manifest(store, ("P3", "1"))
        put_manifest(store, ("P4", "../2"), key="ecg/a/record_list.csv")
        score()
        assert listed(engine) == {"P1", "P4"}
        assert faults(engine) == [(0, "file_not_fetched")]
    score()
    assert listed(engine) == {"P3", "P4"}
    assert faults(engine) == []


def test_faults_are_mended_with_the_manifest_that_had_them(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    for folder in ("a", "b"):
        put_manifest(store, ("", "1"), ("P1", "2"), key=f"ecg/{folder}/record_list.csv")
    scoring.index(engine, store, settings)
    put_manifest(store, ("P1", "2"), key="ecg/a/record_list.csv")
    scoring.index(engine, store, settings)
    assert sorted(all_rows(engine, source_faults.c.source_key, source_faults.c.state)) == [
        ("ecg/a/record_list.csv", "mended"), ("ecg/b/record_list.csv", "open"),
    ]  # fmt: skip


def test_the_log_names_no_file_and_no_patient(
    engine: Engine, store: ObjectStore, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    put_ecgs(store, "MUELLER/1")
    put_manifest(store, ("P1", "1"), ("P2", "1"), ("", "2"), key="ecg/MUELLER/record_list.csv")
    with caplog.at_level(logging.DEBUG, "stence"):
        scoring.index(engine, store, settings)
    assert "'row_id_missing': 1" in caplog.text
    assert "MUELLER" not in caplog.text
    assert "P1" not in caplog.text


def test_manifests_that_are_read_again_after_an_upgrade_send_no_ecg_back(
    engine: Engine, store: ObjectStore, settings: Settings, score: ScoreAll
) -> None:
    put_ecgs(store, "1", "2")
    put_manifest(store, ("P1", "1"), ("P2", "2"))
    score()
    with tampering(engine) as connection:  # as migration 0005 leaves what was there before it
        connection.execute(text("UPDATE manifest_rows SET line = line + 10, local_timezone = NULL"))
        connection.execute(text("UPDATE manifest_records SET local_timezone = NULL, study_id = '1'"))
        connection.execute(text("UPDATE ecgs SET local_timezone = NULL"))
        connection.execute(text("UPDATE manifests SET etag = ''"))
    scoring.index(engine, store, settings)
    assert {state for (state,) in all_rows(engine, worklist.c.state)} == {"scored"}
    assert listed(engine) == {"P1", "P2"}
    assert all_rows(engine, ecgs.c.local_timezone) == [("UTC",), ("UTC",)]
