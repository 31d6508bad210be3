"""Times that move with a mended time zone, files that are no ECGs, and files that a person left for good."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, select, text

from stence import cohort, scoring
from stence.database.tables import cath_studies, ecgs, ignored_objects, manifest_rows, worklist
from stence.objects import ObjectStore
from stence.preparation.budget import BudgetSpentError, ByteBudget, Share
from stence.scoring import RunSummary
from stence.settings import Settings
from support.ecgs import heartbeats, store_ecg
from support.hostile import cost
from support.identity import HEADER, listed, patients_by_key, put_ecgs, put_named
from support.models import ShapeScorer, register
from support.scoring import ScoreAll, all_rows, in_quarantine, run_scorer

MIB = 2**20


def put_timed(store: ObjectStore, name: str, moment: str) -> None:
    """An ECG whose header gives a base time, without a zone."""
    store_ecg(store, f"ecg/{name}.hea", heartbeats(5), comments=("<subject_id>: P2",))
    first, rest = store.get(f"ecg/{name}.hea").decode().split("\n", 1)
    store.put(f"ecg/{name}.hea", f"{first} {moment}\n{rest}".encode())


def test_times_without_a_zone_move_when_the_time_zone_is_mended(
    engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll
) -> None:
    put_ecgs(store, "1")
    put_timed(store, "2", "09:30:00 01/06/2026")
    rows = f"{HEADER}\nP1,0,,2026-06-01 09:30:00,1\nP3,0,,2026-06-01T09:30:00+05:00,3\n"
    store.put("ecg/record_list.csv", rows.encode())
    store.put(
        "reports/r.csv", b"study_id,patient_id,performed_at,segment,degree\nS1,P1,2026-06-01 10:30:00,6,90\n"
    )
    score_all()
    cohort.index_reports(engine, store, settings)
    assert {time for (time,) in all_rows(engine, ecgs.c.acquired_at)} == {
        datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
    }

    berlin = settings.model_copy(update={"timezone": "Europe/Berlin"})
    scoring.index(engine, store, berlin)
    cohort.index_reports(engine, store, berlin)
    moved = datetime(2026, 6, 1, 7, 30, tzinfo=UTC)
    assert {time for (time,) in all_rows(engine, ecgs.c.acquired_at)} == {moved}
    times = dict(all_rows(engine, manifest_rows.c.patient_id, manifest_rows.c.acquired_at))
    assert times == {"P1": moved, "P3": datetime(2026, 6, 1, 4, 30, tzinfo=UTC)}
    assert all_rows(engine, cath_studies.c.performed_at) == [(datetime(2026, 6, 1, 8, 30, tzinfo=UTC),)]

    scoring.index(engine, store, berlin)
    assert {time for (time,) in all_rows(engine, ecgs.c.acquired_at)} == {moved}
    scoring.index(engine, store, settings)
    assert {time for (time,) in all_rows(engine, ecgs.c.acquired_at)} == {
        datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
    }


def test_a_files_time_without_a_zone_is_the_hospitals(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    put_timed(store, "1", "09:30:00 01/06/2026")
    run_scorer(engine, store, settings.model_copy(update={"timezone": "Europe/Berlin"}), ShapeScorer())
    read = all_rows(engine, ecgs.c.acquired_at, ecgs.c.local_timezone)
    assert read == [(datetime(2026, 6, 1, 7, 30, tzinfo=UTC), "Europe/Berlin")]


def test_every_file_is_an_ecg_or_part_of_one_or_counted(
    engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll
) -> None:
    put_named(store, "a", "P1", 1)
    for name in ("a.atr", "a.ecg", "a.v1"):  # annotations of a
        store.put(f"ecg/{name}", b"\0")
    for name in ("holter.ecg", "alone.qrs", "x.scp"):  # of nothing
        store.put(f"ecg/{name}", b"\0")
    for name in ("t.csv", "u.csv", "n.txt", "r.JSON", "p.pdf", "RECORDS", ".tmp/x.hea"):
        store.put(f"ecg/{name}", b"\0")
    summary = scoring.index(engine, store, settings)
    by_kind = {".csv": 2, ".txt": 1, ".json": 1, ".pdf": 1, "RECORDS": 1, "hidden": 1}
    assert summary.ignored == by_kind
    assert summary.as_dict()["ignored"] == 7
    assert dict(all_rows(engine, ignored_objects.c.kind, ignored_objects.c.files)) == by_kind
    score_all()
    assert in_quarantine(engine) == {
        f"ecg/{name}": "unsupported_format" for name in ("holter.ecg", "alone.qrs", "x.scp")
    }
    store.delete("ecg/t.csv")
    store.delete("ecg/p.pdf")
    scoring.index(engine, store, settings)
    with engine.connect() as connection:
        shown = connection.execute(text("SELECT kind, files FROM ignored_files")).all()
    assert dict(map(tuple, shown)) == {".csv": 1, ".txt": 1, ".json": 1, "RECORDS": 1, "hidden": 1}


def test_a_signal_beside_a_dicom_file_of_its_name_is_not_swallowed(
    store: ObjectStore, score_all: ScoreAll
) -> None:
    store.put("ecg/a.dcm", b"x")
    store.put("ecg/a.dat", b"x")
    assert score_all().indexed == 2


def settled_conflict(engine: Engine, store: ObjectStore, score_all: ScoreAll) -> None:
    """One ECG under P1 and P2, of which a person has dismissed P2's file."""
    put_named(store, "right", "P1", 1)
    put_named(store, "wrong", "P2", 1)
    score_all(ShapeScorer(threshold=0))
    with engine.begin() as connection:
        _, rows = scoring.quarantine.list_open(connection)
        ids = {key: number for number, key, *_ in rows}
        scoring.quarantine.dismiss(connection, ids=[ids["ecg/wrong.hea"]], by="archivist")
        scoring.quarantine.retry(connection, ids=[ids["ecg/right.hea"]])
    score_all(ShapeScorer(threshold=0))


def test_touching_a_dismissed_file_does_not_reopen_its_conflict(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    settled_conflict(engine, store, score_all)
    assert listed(engine) == {"P1"}
    put_named(store, "wrong", "P2", 1)  # the same bytes: another version, as far as a listing tells
    assert score_all(ShapeScorer(threshold=0)).counts() == {
        "indexed": 2, "scored": 1, "quarantined": 1, "pending": 0,
    }  # fmt: skip
    assert listed(engine) == {"P1"}
    assert in_quarantine(engine) == {}


def test_another_model_does_not_score_a_dismissed_file(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    settled_conflict(engine, store, score_all)
    score_all(ShapeScorer("shape-2", threshold=0))
    assert patients_by_key(engine).popitem()[1] == "P1"
    assert listed(engine) == {"P1"}
    states = select(worklist.c.state).where(worklist.c.model_version == "shape-2").order_by(worklist.c.state)
    with engine.connect() as connection:
        assert list(connection.scalars(states)) == ["quarantined", "scored"]


def test_a_dismissed_file_that_holds_another_ecg_now_is_scored(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    settled_conflict(engine, store, score_all)
    put_named(store, "wrong", "P2", 9)
    score_all(ShapeScorer(threshold=0))
    assert listed(engine) == {"P1", "P2"}


def run_with_budget(engine: Engine, store: ObjectStore, settings: Settings, limit_bytes: int) -> RunSummary:
    tight = settings.model_copy(update={"max_bytes_in_flight": limit_bytes})
    scorer = ShapeScorer(threshold=1.1)
    register(engine, scorer)
    scoring.index(engine, store, tight)
    with scoring.open_run(engine, store, tight, scorer) as run:
        run.score()
    return run.summary()


def test_a_budget_is_for_all_files_and_whole_again_when_they_are_let_go() -> None:
    budget = ByteBudget(100)
    record, other = Share(budget), Share(budget)
    for size in (20, 30):  # a header and its signal; in memory twice while they come in
        record.admit(size)
    for size in (1, 30):
        with pytest.raises(BudgetSpentError):
            other.admit(size)
    record.release()
    record.release()
    other.admit(50)
    with pytest.raises(BudgetSpentError):
        record.admit(1)


@pytest.mark.slow
def test_what_finds_no_room_waits_its_turn_and_is_scored(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    for number in range(40):
        put_named(store, str(number), f"P{number}", number)
    assert run_with_budget(engine, store, settings, 300_000).scored == 40


def test_many_headers_that_name_one_large_file_take_no_more_memory_than_the_budget(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    put_named(store, "0", "P0X", 0)
    header = store.get("ecg/0.hea").decode().replace("0.dat", "big.dat")
    for number in range(1, 60):
        store.put(f"ecg/{number}.hea", header.replace("P0X", f"P{number}X").encode())
    with (settings.data_dir / "store/ecg/big.dat").open("wb") as file:
        file.truncate(30 * MIB)
    summaries: list[RunSummary] = []
    _, grown_mb = cost(lambda: summaries.append(run_with_budget(engine, store, settings, 128 * MIB)))
    assert summaries[0].scored == 1
    assert summaries[0].quarantined == 59
    # The budget, one file that found no room, twice, and what a run takes besides.
    assert grown_mb < 128 + 60 + 70
