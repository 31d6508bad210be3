"""The same ECG in two exports is scored once, with every file named; what only looks alike is not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, func, text

from stence import scoring
from stence.database import queries
from stence.database.tables import ecgs, scores
from stence.ecg import LEADS
from stence.errors import StenceError
from stence.objects import ObjectStore
from stence.preparation.reading import read_again
from stence.scoring.writing import Writer
from stence.settings import Settings
from support.ecgs import SAMPLING_RATE, heartbeats, manifest
from support.models import ShapeScorer, register
from support.scoring import ScoreAll, all_rows, run_scorer

TIME = "2026-03-01 08:30:00"


def export(store: ObjectStore, key: str, signal: NDArray[np.int16], step: int = 1) -> None:
    """Write a signal in microvolts as a WFDB record in steps of so many microvolts."""
    name = key.rpartition("/")[2].removesuffix(".hea")
    lines = [f"{name} 12 {SAMPLING_RATE} {signal.shape[1]}"]
    lines += [f"{name}.dat 16 {1000 / step:g}/mV 16 0 0 0 0 {lead}" for lead in LEADS]
    store.put(key.removesuffix(".hea") + ".dat", (signal // step).T.astype("<i2").tobytes())
    store.put(key, "\n".join(lines).encode())


def give(store: ObjectStore, *rows: tuple[str, str, str]) -> None:
    store.put("ecg/record_list.csv", manifest(list(rows)))


def two_exports(store: ObjectStore, number: int) -> list[tuple[str, str, str]]:
    """Export an ECG in steps of 1 and of 5 microvolts, and return the rows of a manifest."""
    signal = heartbeats(number)
    export(store, f"ecg/a{number}.hea", signal)
    export(store, f"ecg/b{number}.hea", signal, step=5)
    return [(f"P{number}", TIME, f"a{number}"), (f"P{number}", TIME, f"b{number}")]


def test_two_exports_have_one_score_and_are_both_named(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    give(store, *two_exports(store, 1))
    summary = score_all()
    assert summary.counts() == {"indexed": 2, "scored": 2, "quarantined": 0, "pending": 0}
    assert all_rows(engine, func.count(scores.c.content_hash)) == [(1,)]
    named = text("SELECT object_key, format, is_first FROM ecg_files ORDER BY object_key")
    with engine.connect() as connection:
        assert connection.execute(named).all() == [
            ("ecg/a1.hea", "WFDB", True),
            ("ecg/b1.hea", "WFDB", False),
        ]


def test_an_export_that_comes_later_and_a_new_model_change_nothing(
    engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll
) -> None:
    rows = two_exports(store, 1)
    late = {key: store.get(key) for key in ("ecg/b1.hea", "ecg/b1.dat")}
    for key in late:
        store.delete(key)
    give(store, *rows)
    score_all()
    for key, content in late.items():
        store.put(key, content)
    assert score_all().scored == 2
    assert run_scorer(engine, store, settings, ShapeScorer("shape-2")).scored == 2
    assert all_rows(engine, func.count(ecgs.c.id)) == [(1,)]
    assert all_rows(engine, func.count(scores.c.content_hash)) == [(2,)]


def test_another_signal_patient_or_second_is_another_ecg(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    signal = heartbeats(1)
    export(store, "ecg/one.hea", signal)
    give(store, ("P1", TIME, "one"))
    score_all()
    export(store, "ecg/beat-later.hea", np.roll(signal, 30, axis=1))
    export(store, "ecg/second-before.hea", signal + 2)
    export(store, "ecg/other-patient.hea", signal + 3)
    export(store, "ecg/no-time.hea", signal + 4)
    give(
        store,
        *(("P1", TIME, name) for name in ("one", "beat-later")),
        ("P1", "2026-03-01 08:29:59", "second-before"),
        ("P2", TIME, "other-patient"),
        ("P1", "", "no-time"),
    )
    assert score_all().scored == 5
    assert all_rows(engine, func.count(scores.c.content_hash)) == [(5,)]


@pytest.mark.slow
def test_two_scorers_that_write_both_exports_at_once_keep_one(
    engine: Engine, store: ObjectStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(store, *two_exports(store, 1))
    scorer, execute, both = ShapeScorer(), Writer._execute, Barrier(2)

    def execute_and_wait(writer: Writer, connection: Connection, step: str) -> int:
        rows = execute(writer, connection, step)
        if step == "write_03_same_ecg":
            with suppress(BrokenBarrierError):  # the other waits for this one, as it should
                both.wait(timeout=1)
        return rows

    def score_one(_: int) -> None:
        with scoring.open_run(engine, store, settings, scorer) as run:
            run.score(limit=1)

    register(engine, scorer)
    scoring.index(engine, store, settings)
    monkeypatch.setattr(Writer, "_execute", execute_and_wait)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(score_one, range(2)))
    assert all_rows(engine, func.count(scores.c.content_hash)) == [(1,)]
    counts = text("SELECT indexed, scored, pending FROM worklist_counts")
    with engine.connect() as connection:
        assert connection.execute(counts).all() == [(2, 2, 0)]


def test_an_ecg_is_read_again_from_the_export_that_still_holds_it(
    engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll
) -> None:
    give(store, *two_exports(store, 1))
    score_all()
    export(store, "ecg/a1.hea", heartbeats(3))
    score_all()
    with engine.connect() as connection:
        found = connection.execute(queries.statement("similar_ecg"), {"ecg_id": 1}).one()
    assert found.key == "ecg/b1.hea"
    again = read_again(store, settings, found.key, found.content_hash, found.fingerprint)
    assert np.abs(again.signal * 1000 - heartbeats(1)).max() <= 5
    export(store, "ecg/b1.hea", heartbeats(2))
    with pytest.raises(StenceError, match="another one by now"):
        read_again(store, settings, found.key, found.content_hash, found.fingerprint)
