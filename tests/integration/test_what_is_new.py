"""An index, a worklist and its counts follow what is new, and lose nothing of the rest."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, delete, func, insert, select, text, update

from stence import scoring
from stence.database import queries
from stence.database.tables import (
    announced_objects,
    objects,
    runs,
    store_listings,
    worklist,
    worklist_tally,
)
from stence.ingest.grouping import IndexedFile
from stence.ingest.indexing import record
from stence.objects import ObjectStore
from stence.scoring import work
from stence.scoring.work import Worklist
from stence.settings import Settings
from support.database import tampering
from support.identity import patients_by_key, put_ecgs, put_manifest, put_named
from support.models import ShapeScorer, register
from support.scoring import all_rows, in_quarantine, run_scorer

TODAY = f"{datetime.now(UTC):%Y/%m/%d}"
LONG_AGO = "2020/01/01"


@pytest.fixture
def by_day(settings: Settings) -> Settings:
    """Settings of a store with a folder for each day."""
    return settings.model_copy(update={"listing": "days"})


def keys(engine: Engine) -> set[str]:
    return {key for (key,) in all_rows(engine, objects.c.key)}


def a_day_passes(engine: Engine) -> None:
    with tampering(engine) as connection:
        ended = store_listings.c.finished_at
        connection.execute(update(store_listings).values(finished_at=ended - timedelta(days=1, minutes=1)))


def announce(engine: Engine, *names: str) -> None:
    with tampering(engine) as connection:
        connection.execute(insert(announced_objects), [{"key": name} for name in names])


def worklist_of(engine: Engine, settings: Settings, model: str = "shape-1") -> Worklist:
    run = uuid.uuid4()
    row = {"id": run, "model_version": model, "preprocessing_version": "p", "state": "running"}
    with tampering(engine) as connection:
        connection.execute(insert(runs).values(**row, code_version="0", device="cpu", host="here"))
    return Worklist(engine, settings, model, run)


def counts(engine: Engine, model: str = "shape-1") -> tuple[int, ...]:
    statement = (
        "SELECT indexed, scored, quarantined, pending FROM worklist_counts WHERE model_version = :model"
    )
    with engine.connect() as connection:
        return tuple(connection.execute(text(statement), {"model": model}).one())


def test_the_first_index_lists_everything_and_the_next_the_last_days(
    engine: Engine, store: ObjectStore, by_day: Settings
) -> None:
    put_ecgs(store, f"{LONG_AGO}/1", f"{TODAY}/1")
    assert scoring.index(engine, store, by_day).new == 2
    put_ecgs(store, f"{LONG_AGO}/2", f"{TODAY}/2")
    summary = scoring.index(engine, store, by_day)
    assert (summary.ecgs, summary.new) == (2, 1)
    assert "ecg/2020/01/01/2.hea" not in keys(engine)
    extents = all_rows(engine, store_listings.c.extent, store_listings.c.ecgs, store_listings.c.new)
    assert extents == [("full", 2, 2), ("days", 2, 1)]


def test_what_came_into_an_old_folder_is_found_within_a_day(
    engine: Engine, store: ObjectStore, by_day: Settings
) -> None:
    put_ecgs(store, f"{TODAY}/1")
    scoring.index(engine, store, by_day)
    put_ecgs(store, f"{LONG_AGO}/2")
    assert scoring.index(engine, store, by_day).new == 0
    a_day_passes(engine)
    assert scoring.index(engine, store, by_day).new == 1


def test_a_listing_of_days_takes_nothing_for_gone(
    engine: Engine, store: ObjectStore, by_day: Settings
) -> None:
    store.put(f"ecg/{LONG_AGO}/1.dcm", b"not an ECG")
    put_named(store, f"{LONG_AGO}/2", "P2", 2)
    put_manifest(store, ("P9", "3"), key=f"ecg/{LONG_AGO}/record_list.csv")
    put_ecgs(store, f"{LONG_AGO}/3")
    run_scorer(engine, store, by_day, ShapeScorer())
    waiting, patients = in_quarantine(engine), patients_by_key(engine)
    assert (len(waiting), len(patients)) == (1, 2)
    put_named(store, f"{TODAY}/4", "P4", 4)
    summary = scoring.index(engine, store, by_day)
    assert (summary.gone, summary.manifests_withdrawn) == (0, 0)
    run_scorer(engine, store, by_day, ShapeScorer())
    assert in_quarantine(engine) == waiting
    assert patients_by_key(engine) == patients | {f"ecg/{TODAY}/4.hea": "P4"}


def test_a_manifest_above_the_days_names_the_patients_of_today(
    engine: Engine, store: ObjectStore, by_day: Settings
) -> None:
    put_manifest(store, ("P1", f"{TODAY}/1"))
    put_ecgs(store, f"{TODAY}/1")
    scoring.index(engine, store, by_day)
    put_ecgs(store, f"{TODAY}/2")
    put_manifest(store, ("P1", f"{TODAY}/1"), ("P2", f"{TODAY}/2"))
    run_scorer(engine, store, by_day, ShapeScorer())
    assert patients_by_key(engine) == {f"ecg/{TODAY}/1.hea": "P1", f"ecg/{TODAY}/2.hea": "P2"}


def test_announced_files_are_read_with_all_of_their_record_and_nothing_else(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    announced = settings.model_copy(update={"listing": "announced"})
    scoring.index(engine, store, announced)
    for number in ("7", "8", "77"):
        put_named(store, number, f"P{number}", int(number))
    store.put("ecg/plain", b"a file without extension")
    announce(engine, "ecg/7.dat", "ecg/plain", "ecg/missing.hea", "reports/r.csv", "ecg/7.dat")
    summary = run_scorer(engine, store, announced, ShapeScorer())
    assert (summary.scored, summary.quarantined) == (1, 1)
    assert keys(engine) == {"ecg/7.hea", "ecg/plain"}
    assert not all_rows(engine, announced_objects.c.id)


def test_an_announced_manifest_names_patients(engine: Engine, store: ObjectStore, settings: Settings) -> None:
    announced = settings.model_copy(update={"listing": "announced"})
    put_ecgs(store, "a/1")
    assert run_scorer(engine, store, announced, ShapeScorer()).quarantined == 1
    put_manifest(store, ("P1", "1"), key="ecg/a/record_list.csv")
    announce(engine, "ecg/a/record_list.csv")
    assert run_scorer(engine, store, announced, ShapeScorer()).scored == 1


def test_a_listing_that_commits_late_is_not_missed(engine: Engine, settings: Settings) -> None:
    """Its files have lower change numbers than those of a listing that committed before."""
    register(engine, ShapeScorer())
    run = worklist_of(engine, settings)
    late, soon = ([IndexedFile(f"ecg/{name}.dcm", f"ecg/{name}", "v1", 1)] for name in ("late", "soon"))
    with engine.connect() as slow:
        record(slow, late, "ecg")
        with engine.begin() as connection:
            record(connection, soon, "ecg")
        enqueuing = threading.Thread(target=run.enqueue)
        enqueuing.start()
        enqueuing.join(0.5)
        slow.commit()
    enqueuing.join()
    run.enqueue()
    assert {claim.key for claim in run.claim(9)} == {"ecg/late.dcm", "ecg/soon.dcm"}


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worklists grow by three files at a time."""
    monkeypatch.setattr(work, "FILES_TOGETHER", 3)


@pytest.mark.usefixtures("small_parts")
def test_an_archive_counts_as_pending_before_it_is_on_the_worklist(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    for number in range(10):
        store.put(f"ecg/{number}.dcm", b"")
    scoring.index(engine, store, settings)
    register(engine, ShapeScorer())
    run = worklist_of(engine, settings)
    assert run.enqueue() == 3
    assert counts(engine) == (10, 0, 0, 10)
    assert [claim.key for claim in run.claim(2)] == ["ecg/8.dcm", "ecg/9.dcm"]
    assert counts(engine) == (10, 0, 0, 10)
    assert sum(len(run.claim(4)) for _ in range(5)) == 8
    assert not run.claim(4)
    assert counts(engine) == (10, 0, 0, 10)


@pytest.mark.usefixtures("small_parts")
def test_every_ecg_of_a_growing_archive_is_scored_once(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    for number in range(8):
        put_named(store, str(number), f"P{number}", number)
    assert run_scorer(engine, store, settings, ShapeScorer()).counts() == {
        "indexed": 8, "scored": 8, "quarantined": 0, "pending": 0,
    }  # fmt: skip
    for number in range(5, 16):
        put_named(store, str(number), f"P{number}", number + 100 * (number < 8))
    summary = run_scorer(engine, store, settings, ShapeScorer())
    assert summary.scored_by_run == 11
    assert counts(engine) == (16, 16, 0, 0)
    assert run_scorer(engine, store, settings, ShapeScorer()).scored_by_run == 0


@pytest.mark.usefixtures("small_parts")
def test_scorers_that_begin_together_share_the_archive(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    for number in range(40):
        store.put(f"ecg/{number}.dcm", b"")
    scoring.index(engine, store, settings)
    register(engine, ShapeScorer())
    crews = [worklist_of(engine, settings) for _ in range(4)]
    claimed: list[int] = []

    def claim_all(run: Worklist) -> None:
        run.enqueue()
        while claims := run.claim(2):
            claimed.extend(claim.object_id for claim in claims)

    threads = [threading.Thread(target=claim_all, args=(run,)) for run in crews]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 40


@pytest.mark.usefixtures("small_parts")
def test_of_scorers_that_find_nothing_one_lists_the_next_part(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    """Otherwise each would wait until all others before it have listed one."""
    for number in range(12):
        store.put(f"ecg/{number}.dcm", b"")
    scoring.index(engine, store, settings)
    register(engine, ShapeScorer())
    runs = [worklist_of(engine, settings) for _ in range(2)]
    for run in runs:
        run.enqueue()
    while runs[0]._claim(3):
        pass
    seen = runs[1]._oldest()
    assert runs[0].claim(1)
    assert runs[1]._add("enqueue_04_older", oldest=seen).files == 0
    assert len(runs[1].claim(9)) == 2


def test_a_portion_is_what_came_before_the_model_or_after(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    for number in range(4):
        store.put(f"ecg/{number}.dcm", b"")
    scoring.index(engine, store, settings)
    register(engine, ShapeScorer())
    store.put("ecg/0.dcm", b"replaced")
    store.put("ecg/9.dcm", b"")
    scoring.index(engine, store, settings)
    run = worklist_of(engine, settings)
    run.enqueue()
    new = Worklist(engine, settings, "shape-1", uuid.uuid4(), "new")
    assert [claim.key for claim in new.claim(9)] == ["ecg/0.dcm", "ecg/9.dcm"]
    new.release()
    assert [claim.key for claim in run.claim(3)] == ["ecg/0.dcm", "ecg/3.dcm", "ecg/9.dcm"]
    archive = Worklist(engine, settings, "shape-1", uuid.uuid4(), "archive")
    assert [claim.key for claim in archive.claim(9)] == ["ecg/1.dcm", "ecg/2.dcm"]


def test_the_tally_is_exact_whatever_happens_at_once(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    for number in range(60):
        store.put(f"ecg/{number}.dcm", b"")
    scoring.index(engine, store, settings)
    register(engine, ShapeScorer())
    worklist_of(engine, settings).enqueue()
    over = threading.Event()

    def add_up() -> None:
        while not over.is_set():
            with engine.begin() as connection:
                connection.execute(queries.statement("add_up_tally"))

    def work_on(number: int) -> None:
        run = worklist_of(engine, settings)
        for turn in range(8):
            claims = run.claim(4)
            with tampering(engine) as connection:
                done = update(worklist).where(worklist.c.object_id.in_([c.object_id for c in claims[:2]]))
                connection.execute(done.values(state=("scored", "quarantined")[turn % 2]))
            run.release()
        with tampering(engine) as connection:
            connection.execute(delete(worklist).where(worklist.c.object_id % 20 == number))

    adding = threading.Thread(target=add_up)
    working = [threading.Thread(target=work_on, args=(number,)) for number in range(3)]
    for thread in (adding, *working):
        thread.start()
    for thread in working:
        thread.join()
    over.set()
    adding.join()
    by_state = select(worklist.c.state, func.count()).group_by(worklist.c.state)
    with engine.connect() as connection:
        true = dict(tuple(row) for row in connection.execute(by_state))
    expected = (sum(true.values()), true["scored"], true["quarantined"], true["pending"])
    assert counts(engine) == expected
    with engine.begin() as connection:
        connection.execute(queries.statement("add_up_tally"))
    assert counts(engine) == expected


def test_counts_of_a_run_outlast_its_end(engine: Engine, store: ObjectStore, settings: Settings) -> None:
    put_named(store, "1", "P1", 1)
    summary = run_scorer(engine, store, settings, ShapeScorer())
    assert (summary.scored_by_run, summary.scored) == (1, 1)
    put_named(store, "2", "P2", 2)
    assert run_scorer(engine, store, settings, ShapeScorer()).scored_by_run == 1
    kept = all_rows(engine, worklist_tally.c.state, worklist_tally.c.ecgs)
    assert len(kept) <= 3  # one of each run, and one of those before
