"""The same ECG in two exports is scored once, with every file named; what only looks alike is not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, func, text

from stence.database.tables import ecgs, scores
from stence.ecg import LEADS
from stence.objects import ObjectStore
from stence.settings import Settings
from support.ecgs import SAMPLING_RATE, heartbeats, manifest
from support.models import ShapeScorer
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
    export(store, "ecg/beat-later.hea", np.roll(signal, 30, axis=1))
    export(store, "ecg/next-second.hea", signal + 2)
    export(store, "ecg/other-patient.hea", signal + 3)
    export(store, "ecg/no-time.hea", signal + 4)
    give(
        store,
        *(("P1", TIME, name) for name in ("one", "beat-later")),
        ("P1", "2026-03-01 08:30:01", "next-second"),
        ("P2", TIME, "other-patient"),
        ("P1", "", "no-time"),
    )
    assert score_all().scored == 5
    assert all_rows(engine, func.count(scores.c.content_hash)) == [(5,)]


def test_two_scorers_at_once_score_no_ecg_twice(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    give(store, *(row for number in range(60) for row in two_exports(store, number)))
    small = settings.model_copy(update={"batch_size": 8, "decode_processes": 1})
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: run_scorer(engine, store, small, ShapeScorer()), range(2)))
    assert all_rows(engine, func.count(scores.c.content_hash)) == [(60,)]
    counts = text("SELECT indexed, scored, pending FROM worklist_counts")
    with engine.connect() as connection:
        assert connection.execute(counts).all() == [(120, 120, 0)]
