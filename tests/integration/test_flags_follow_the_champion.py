"""Flags follow the champion: rollback and promotion withdraw, reopen and raise them; no run slips through."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import Engine, func, select, text

from stence import registry, scoring
from stence.database import queries
from stence.database.tables import flags, models, scores
from stence.objects import ObjectStore
from stence.settings import Settings
from support.ecgs import heartbeats, store_ecg
from support.identity import put_manifest
from support.models import ShapeScorer, promote, register
from support.processes import start_rollback
from support.pseudonyms import pseudonym
from support.scoring import ScoreAll, all_rows
from support.waiting import wait_until

OLD, NEW = ShapeScorer("old", threshold=0), ShapeScorer("new", threshold=0)
ECGS = 4
FLAGS = ECGS
"""A threshold of 0 flags every ECG for every target."""
KILLS = 20
Key = tuple[str, str, str | None]


def hospital(store: ObjectStore, first: int = 0, ecgs: int = ECGS) -> None:
    for number in range(first, first + ecgs):
        store_ecg(store, f"ecg/{number}.hea", heartbeats(number), comments=(f"<subject_id>: P{number}",))


def rollback(engine: Engine) -> registry.Succession:
    with engine.begin() as connection:
        return registry.rollback(connection, by="bob", why="worse than thought")


def review(engine: Engine, patient: str, outcome: str) -> None:
    with engine.begin() as connection:
        number = connection.scalar(
            text("SELECT id FROM ecgs WHERE patient_id = :p"), {"p": pseudonym(patient)}
        )
        scoring.reviews.review(connection, number, outcome=outcome, by="Dr A", note="seen")


def counts(engine: Engine) -> dict[Key, int]:
    """Flags by model, state and reason."""
    return Counter(all_rows(engine, flags.c.model_version, flags.c.state, flags.c.withdrawn_for))


def open_elsewhere(engine: Engine) -> int:
    """Open flags of models that are not champion."""
    of = (
        select(func.count())
        .select_from(flags.join(models, models.c.version == flags.c.model_version))
        .where(flags.c.state == "open", models.c.state != "champion")
    )
    with engine.connect() as connection:
        return int(connection.scalar(of) or 0)


def test_a_promotion_withdraws_the_open_flags_of_the_model_that_leaves(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    hospital(store)
    score_all(OLD)
    review(engine, "P0", "confirmed")
    review(engine, "P1", "dismissed")
    reviewed = {row for row in all_rows(engine, *flags.c) if {"confirmed", "dismissed"} & set(row)}
    assert len(reviewed) == 2
    assert promote(engine, NEW) == ("new", 2, 0)
    assert counts(engine) == {
        ("old", "confirmed", None): 1,
        ("old", "dismissed", None): 1,
        ("old", "withdrawn", "model_retired"): 2,
    }
    assert reviewed <= set(all_rows(engine, *flags.c))
    said = all_rows(engine, flags.c.state, flags.c.reviewed_by, flags.c.note)
    assert {row[1:] for row in said if row[0] == "withdrawn"} == {("ada", "better")}
    score_all(NEW)
    assert counts(engine)["new", "open", None] == FLAGS
    assert open_elsewhere(engine) == 0


def test_a_rollback_reopens_what_the_promotion_withdrew(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    hospital(store)
    score_all(OLD)
    promote(engine, NEW)
    score_all(NEW)
    assert rollback(engine) == ("old", FLAGS, FLAGS)
    assert counts(engine) == {
        ("old", "open", None): FLAGS,
        ("new", "withdrawn", "model_retired"): FLAGS,
    }
    said = all_rows(engine, flags.c.model_version, flags.c.reviewed_by, flags.c.reviewed_at, flags.c.note)
    assert {row for row in said if row[0] == "old"} == {("old", None, None, None)}


def test_a_flag_that_opens_again_follows_what_was_found_out_meanwhile(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    hospital(store)
    score_all(OLD)
    review(engine, "P3", "confirmed")
    promote(engine, NEW)
    score_all(NEW)
    review(engine, "P0", "dismissed")
    rollback(engine)
    assert counts(engine) == {
        ("old", "open", None): 2,
        ("old", "dismissed", None): 1,
        ("old", "confirmed", None): 1,
        ("new", "dismissed", None): 1,
        ("new", "withdrawn", "model_retired"): 3,
    }
    assert open_elsewhere(engine) == 0


def test_an_earlier_review_says_nothing_of_a_flag_that_was_raised_after_it(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    hospital(store, ecgs=1)
    score_all(OLD)
    review(engine, "P0", "dismissed")
    promote(engine, NEW)
    score_all(NEW)
    promote(engine, ShapeScorer("third"))
    assert rollback(engine) == ("new", 0, 1)
    assert counts(engine)["new", "open", None] == 1


def begin_run(
    engine: Engine, store: ObjectStore, settings: Settings, scorer: ShapeScorer, ecgs: int = ECGS
) -> AbstractContextManager[scoring.Run]:
    """A run of the scorer's model over ECGs that nobody has scored."""
    hospital(store, ecgs=ecgs)
    scoring.index(engine, store, settings)
    return scoring.open_run(engine, store, settings, scorer)


def test_a_run_whose_model_retires_ends_early_and_raises_no_more_flags(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    score_all: ScoreAll,
    caplog: pytest.LogCaptureFixture,
) -> None:
    score_all(OLD)
    promote(engine, NEW)
    with begin_run(engine, store, settings, NEW) as run:
        assert run.score(limit=2) == 2
        assert counts(engine) == {("new", "open", None): 2}
        rollback(engine)
        assert run.score() == 0
    assert "retired or was rejected since the run began" in caplog.text
    assert run.summary().counts() == {"indexed": 4, "scored": 2, "quarantined": 0, "pending": 2}
    assert counts(engine) == {("new", "withdrawn", "model_retired"): 2}


def test_a_batch_that_is_under_way_at_a_promotion_raises_its_flags_when_the_model_comes_back(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    """Its scores are true scores of that model, but it is not champion any more."""
    register(engine, OLD)
    with begin_run(engine, store, settings, OLD) as run:
        batch = threading.Thread(target=run.score)
        register(engine, NEW)
        with engine.begin() as connection:
            registry.promote(connection, "new", by="ada", why="better")
            batch.start()
            until_waiting(engine, 1)
        batch.join(30)
    assert len(all_rows(engine, scores.c.content_hash)) == ECGS
    assert counts(engine) == {}
    assert rollback(engine) == ("old", 0, FLAGS)
    assert counts(engine) == {("old", "open", None): FLAGS}


def test_a_rollback_waits_for_the_batch_that_is_being_written_and_withdraws_its_flags(
    engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll
) -> None:
    score_all(OLD)
    promote(engine, NEW)
    waiting = threading.Thread(target=rollback, args=(engine,))
    with begin_run(engine, store, settings, NEW) as run:
        batch = threading.Thread(target=run.score)
        with engine.begin() as connection:
            # Where the batch goes next once it has decided about flags.
            connection.execute(text("LOCK TABLE quarantine IN SHARE MODE"))
            batch.start()
            until_waiting(engine, 1)
            waiting.start()
            until_waiting(engine, 2)
        batch.join(30)
        waiting.join(30)
    assert counts(engine) == {("new", "withdrawn", "model_retired"): FLAGS}


def test_two_batches_do_not_wait_for_each_other(engine: Engine) -> None:
    hold = queries.statement("hold_champion")
    with engine.begin() as first, engine.begin() as second:
        first.execute(hold)
        second.execute(text("SET LOCAL lock_timeout = '5s'"))
        second.execute(hold)


@pytest.mark.slow
def test_a_scorer_at_work_during_a_rollback_raises_no_flag_after_it(
    engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll
) -> None:
    settings = settings.model_copy(update={"batch_size": 1, "prefetch_batches": 1})
    score_all(OLD)
    promote(engine, NEW)
    with begin_run(engine, store, settings, NEW, ecgs=60) as run:
        scorer = threading.Thread(target=run.score)
        scorer.start()
        wait_until(lambda: counts(engine).get(("new", "open", None), 0) >= 30)
        done = rollback(engine)
        at_rollback = counts(engine)
        scorer.join(60)
    assert at_rollback == counts(engine) == {("new", "withdrawn", "model_retired"): done.withdrawn}
    assert run.summary().scored > done.withdrawn


@pytest.mark.slow
def test_a_killed_rollback_leaves_one_of_the_two_states_whole(
    engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll
) -> None:
    hospital(store, ecgs=30)
    score_all(OLD)
    review(engine, "P0", "confirmed")
    promote(engine, NEW)
    score_all(NEW)
    chance, seen = random.Random(7), Counter[bool]()
    longest = 0.03  # seconds; it settles at what a rollback takes, on any machine
    for kill in range(KILLS):
        before, new = counts(engine), champion(engine)
        after = moved(before, new, "open", "withdrawn")
        after = moved(after, "old", "withdrawn", "open")
        process = start_rollback(settings)
        time.sleep(chance.uniform(0, longest))
        process.kill()
        process.join()
        wait_until(lambda: alone(engine))
        is_done = champion(engine) == "old"
        assert counts(engine) == (after if is_done else before), f"kill {kill}"
        assert open_elsewhere(engine) == 0
        seen[is_done] += 1
        longest *= 0.7 if is_done else 1.4
        if is_done:
            following = ShapeScorer(f"new-{kill}", threshold=0)
            promote(engine, following)
            score_all(following)
    assert set(seen) == {True, False}, seen


def champion(engine: Engine) -> str:
    with engine.connect() as connection:
        found = registry.champion(connection)
    assert found is not None
    return found.version


def moved(before: Mapping[Key, int], version: str, state: str, to: str) -> dict[Key, int]:
    """The counts after a model's open flags are withdrawn, or the withdrawn ones open."""
    reasons = {"open": None, "withdrawn": "model_retired"}
    after = dict(before)
    after[version, to, reasons[to]] = after.pop((version, state, reasons[state]))
    return after


def alone(engine: Engine) -> bool:
    """True if no transaction of a killed process is left."""
    others = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' "
        "AND pid <> pg_backend_pid()"
    )
    with engine.connect() as connection:
        return connection.scalar(others) == 0


def until_waiting(engine: Engine, count: int) -> None:
    waiting = text("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        wait_until(lambda: connection.scalar(waiting) == count)


# --- What the data say goes before what the model is --------------------------------------------------------


def test_a_withdrawn_flag_of_an_ecg_that_was_replaced_does_not_open_again(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    hospital(store, ecgs=1)
    score_all(OLD)
    promote(engine, NEW)
    store_ecg(store, "ecg/0.hea", heartbeats(9), comments=("<subject_id>: P0",))
    score_all(NEW)
    rollback(engine)
    assert counts(engine)["old", "withdrawn", "replaced"] == 1
    score_all(OLD)
    assert counts(engine)["old", "open", None] == 1


@pytest.mark.parametrize("scored_between", [False, True], ids=["manifest read", "scored anew"])
def test_a_withdrawn_flag_whose_patient_became_uncertain_does_not_open_again(
    engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll, scored_between: bool
) -> None:
    store_ecg(store, "ecg/0.hea", heartbeats(0))
    put_manifest(store, ("P0", "0"))
    score_all(OLD)
    promote(engine, NEW)
    put_manifest(store)
    if scored_between:
        score_all(NEW)
    else:
        scoring.index(engine, store, settings)
    assert rollback(engine).opened == 0
    assert counts(engine) == {("old", "withdrawn", "patient_unclear"): 1}
    put_manifest(store, ("P1", "0"))
    score_all(OLD)
    assert set(all_rows(engine, flags.c.patient_id, flags.c.state)) == {("P1", "open")}


def test_a_withdrawn_flag_of_an_ecg_in_conflict_does_not_open_again(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    hospital(store, ecgs=1)
    score_all(OLD)
    promote(engine, NEW)
    store_ecg(store, "ecg/copy.hea", heartbeats(0), comments=("<subject_id>: P9",))
    score_all(NEW)
    assert rollback(engine).opened == 0
    assert counts(engine) == {("old", "withdrawn", "patient_conflict"): 1}


def test_a_withdrawn_flag_whose_file_names_nobody_any_more_does_not_open_again(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    hospital(store, ecgs=1)
    score_all(OLD)
    promote(engine, NEW)
    store_ecg(store, "ecg/0.hea", heartbeats(0))
    score_all(NEW)
    assert rollback(engine).opened == 0
    assert counts(engine) == {("old", "withdrawn", "patient_unclear"): 1}
