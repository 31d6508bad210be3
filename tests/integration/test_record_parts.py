"""Signal files with another name than their header's belong to it, whenever they come or change."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from stence.database.tables import objects, quarantine, scores
from stence.objects import ObjectStore
from support.ecgs import heartbeats, store_ecg
from support.models import ShapeScorer
from support.scoring import ScoreAll, all_rows, in_quarantine


def put_record(store: ObjectStore, name: str, *signals: str, seed: int = 1) -> dict[str, bytes]:
    """A record whose leads lie in signal files of other names, which are not put yet; they by key."""
    store_ecg(store, f"ecg/{name}.hea", heartbeats(seed), comments=("<subject_id>: P1",))
    header, whole = store.get(f"ecg/{name}.hea").decode(), heartbeats(seed)
    store.delete(f"ecg/{name}.dat")
    first, *lines = header.splitlines()
    share = 12 // len(signals)
    for lead in range(12):
        lines[lead] = lines[lead].replace(f"{name}.dat", signals[lead // share])
    store.put(f"ecg/{name}.hea", "\n".join([first, *lines, ""]).encode())
    return {
        f"ecg/{signal}": whole[n * share : (n + 1) * share].T.astype("<i2").tobytes()
        for n, signal in enumerate(signals)
    }


def put_all(store: ObjectStore, files: dict[str, bytes]) -> None:
    for key, content in files.items():
        store.put(key, content)


ONE = {"indexed": 1, "scored": 1, "quarantined": 0, "pending": 0}


@pytest.mark.parametrize(
    "signals", [("sig.dat",), ("limb.dat", "chest.dat"), ("a.dat", "rec.b.dat", "z.mat")]
)
def test_a_record_and_its_signals_are_one_ecg(
    engine: Engine, store: ObjectStore, score_all: ScoreAll, signals: tuple[str, ...]
) -> None:
    put_all(store, put_record(store, "rec", *signals))
    assert score_all().counts() == ONE
    assert in_quarantine(engine) == {}
    assert score_all().scored_by_run == 0  # what was read is the version that is listed
    assert dict(all_rows(engine, objects.c.key, objects.c.kind)) == {
        "ecg/rec.hea": "ecg",
        **{f"ecg/{signal}": "signal" for signal in signals},
    }


@pytest.mark.parametrize("order", ["header first", "signals first", "one signal late"])
def test_files_may_come_in_any_order(
    engine: Engine, store: ObjectStore, score_all: ScoreAll, order: str
) -> None:
    files = put_record(store, "rec", "limb.dat", "chest.dat")
    header = store.get("ecg/rec.hea")
    early = {"header first": {}, "signals first": files, "one signal late": dict([*files.items()][:1])}[order]
    put_all(store, early)
    if order == "signals first":
        store.delete("ecg/rec.hea")
    score_all()
    assert in_quarantine(engine)
    put_all(store, files | {"ecg/rec.hea": header})
    assert score_all().counts() == ONE
    assert in_quarantine(engine) == {}
    assert len(all_rows(engine, scores.c.content_hash)) == 1


def test_a_signal_that_is_replaced_is_scored_again(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    put_all(store, put_record(store, "rec", "sig.dat"))
    score_all(ShapeScorer(threshold=0))
    put_all(store, put_record(store, "rec", "sig.dat", seed=2))
    assert score_all(ShapeScorer(threshold=0)).scored_by_run == 1
    assert len(all_rows(engine, scores.c.content_hash)) == 2
    put_all(store, {"ecg/sig.dat": b"\0" * 100})
    score_all()
    assert in_quarantine(engine) == {"ecg/rec.hea": "truncated"}


def test_a_signal_that_no_header_names_any_more_is_told_by_itself(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    put_all(store, put_record(store, "rec", "sig.dat"))
    score_all()
    put_all(store, put_record(store, "rec", "other.dat"))
    score_all()
    assert score_all().counts() == {"indexed": 2, "scored": 1, "quarantined": 1, "pending": 0}
    assert in_quarantine(engine) == {"ecg/sig.dat": "unsupported_format"}


def test_a_header_with_too_few_leads_still_owns_its_signals(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store.put("ecg/rec.hea", b"rec 1 500 5000\nsig.dat 16 1000/mV 16 0 0 0 0 I\n")
    store.put("ecg/sig.dat", bytes(10_000))
    score_all()
    assert in_quarantine(engine) == {"ecg/rec.hea": "missing_leads"}


def test_a_signal_of_two_headers_is_no_ecg_while_one_names_it(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    put_all(store, put_record(store, "a", "sig.dat"))
    put_record(store, "b", "sig.dat")
    score_all()
    assert in_quarantine(engine) == {}
    put_all(store, put_record(store, "a", "own.dat"))
    score_all()
    assert in_quarantine(engine) == {}
    assert {state for (state,) in all_rows(engine, quarantine.c.state)} <= {"resolved"}
