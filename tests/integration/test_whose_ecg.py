"""Whose ECG it is, and what it says: files, manifests and people who disagree, and what becomes of scores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, select

from stence import scoring
from stence.database.tables import (
    ecgs,
    flags,
    quarantine,
    scores,
    source_faults,
)
from stence.objects import LocalStore, ObjectStore, StoredObject
from stence.objects.store import Skipped
from stence.settings import Settings
from support.ecgs import heartbeats, store_ecg
from support.models import ShapeScorer, promote
from support.pseudonyms import pseudonym
from support.scoring import ScoreAll, all_rows, give_patients, in_quarantine


@pytest.mark.parametrize("apart", [False, True], ids=["in one run", "in a later run"])
def test_one_ecg_under_two_patients_waits_for_a_person_and_both_keys_are_named(
    engine: Engine, store: ObjectStore, score_all: ScoreAll, apart: bool
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    store_ecg(store, "ecg/other.hea", heartbeats(2), comments=("<subject_id>: 9",))
    if apart:
        score_all(ShapeScorer(threshold=0))
    store_ecg(store, "ecg/b.hea", heartbeats(1), comments=("<subject_id>: 8",))

    summary = score_all(ShapeScorer(threshold=0))

    assert summary.counts() == {"indexed": 3, "scored": 1, "quarantined": 2, "pending": 0}
    assert in_quarantine(engine) == {"ecg/a.hea": "patient_conflict", "ecg/b.hea": "patient_conflict"}
    for (detail,) in all_rows(engine, quarantine.c.detail):
        assert "ecg/a.hea, ecg/b.hea" in detail
    assert len(all_rows(engine, scores.c.content_hash)) == 1
    open_flags = select(flags.c.patient_id).where(flags.c.state == "open").distinct()
    with engine.connect() as connection:
        assert list(connection.scalars(open_flags)) == [pseudonym("9")]


def test_a_person_settles_a_conflict_by_dismissing_the_wrong_file(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    store_ecg(store, "ecg/b.hea", heartbeats(1), comments=("<subject_id>: 8",))
    score_all()
    with engine.begin() as connection:
        _, rows = scoring.quarantine.list_open(connection)
        ids = {key: number for number, key, *_ in rows}
        assert scoring.quarantine.dismiss(connection, ids=[ids["ecg/b.hea"]], by="archivist") == 1
        assert scoring.quarantine.retry(connection, reason="patient_conflict") == 1

    summary = score_all()

    assert summary.counts() == {"indexed": 2, "scored": 1, "quarantined": 1, "pending": 0}
    assert all_rows(engine, ecgs.c.patient_id) == [("7",)]
    assert in_quarantine(engine) == {}
    assert sorted(all_rows(engine, quarantine.c.state)) == [("dismissed",), ("resolved",)]


def test_flags_that_a_conflict_withdrew_come_back_when_it_is_settled(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    score_all(ShapeScorer(threshold=0))
    store_ecg(store, "ecg/b.hea", heartbeats(1), comments=("<subject_id>: 8",))
    score_all(ShapeScorer(threshold=0))
    withdrawn = ("withdrawn", "patient_conflict")
    assert set(all_rows(engine, flags.c.state, flags.c.withdrawn_for)) == {withdrawn}
    store_ecg(store, "ecg/b.hea", heartbeats(2), comments=("<subject_id>: 8",))
    score_all(ShapeScorer(threshold=0))
    said = (flags.c.patient_id, flags.c.state, flags.c.withdrawn_for, flags.c.note)
    assert set(all_rows(engine, *said)) == {("7", "open", None, None), ("8", "open", None, None)}


def test_flags_of_every_model_come_back_with_the_row_that_named_the_patient(
    engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1))
    give_patients(store, ("p1", "a"))
    old, new = ShapeScorer("shape-1", threshold=0), ShapeScorer("shape-2", threshold=0)
    score_all(old)
    promote(engine, new)
    score_all(new)
    give_patients(store)
    scoring.index(engine, store, settings)
    assert set(all_rows(engine, flags.c.withdrawn_for)) == {("patient_unclear",)}
    give_patients(store, ("p1", "a"))
    score_all(new)
    said = all_rows(engine, flags.c.model_version, flags.c.state, flags.c.withdrawn_for, flags.c.reviewed_by)
    assert set(said) == {
        ("shape-1", "withdrawn", "model_retired", "stence"),
        ("shape-2", "open", None, None),
    }
    assert {row for row in all_rows(engine, flags.c.model_version, flags.c.reviewed_at) if not row[1]} == {
        ("shape-2", None)
    }


def test_a_signal_that_arrives_after_its_header_is_scored_then(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    signal = store.get("ecg/a.dat")
    store.delete("ecg/a.dat")
    assert score_all().quarantined == 1
    assert in_quarantine(engine) == {"ecg/a.hea": "object_missing"}
    store.put("ecg/a.dat", signal)
    assert score_all().counts() == {"indexed": 1, "scored": 1, "quarantined": 0, "pending": 0}
    assert all_rows(engine, quarantine.c.state) == [("resolved",)]


def test_a_signal_that_came_cut_short_is_scored_once_it_is_whole(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    signal = store.get("ecg/a.dat")
    store.put("ecg/a.dat", signal[:1000])
    score_all()
    assert in_quarantine(engine) == {"ecg/a.hea": "truncated"}
    store.put("ecg/a.dat", signal)
    assert score_all().scored == 1


def test_a_patient_named_later_by_a_manifest_frees_the_ecg(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1))
    assert score_all().quarantined == 1
    give_patients(store, ("p1", "a"))
    assert score_all().scored == 1
    ((patient, acquired_at),) = all_rows(engine, ecgs.c.patient_id, ecgs.c.acquired_at)
    assert patient == "p1"
    assert acquired_at.isoformat() == "2026-03-01T08:30:00+00:00"


def test_a_corrected_manifest_moves_score_and_flags_to_the_right_patient(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1))
    give_patients(store, ("wrong", "a"))
    score_all(ShapeScorer(threshold=0))
    give_patients(store, ("right", "a"))
    score_all(ShapeScorer(threshold=0))
    assert all_rows(engine, ecgs.c.patient_id) == [("right",)]
    assert {row[0] for row in all_rows(engine, flags.c.patient_id)} == {"right"}
    assert len(all_rows(engine, scores.c.content_hash)) == 1


ABOUT = """subject_id,path,ecg_time,site,indication
p1,a,2026-03-01 08:30:00,Ward 4,chest pain
p2,b,2026-03-01 08:30:00,Ward 9,
"""


def test_site_and_indication_come_from_the_file_and_else_from_the_manifest(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1))
    store_ecg(store, "ecg/b.hea", heartbeats(2), comments=("Site: Clinic", "Device: Cardio 200"))
    store.put("ecg/record_list.csv", ABOUT.encode())
    score_all()
    said = (ecgs.c.patient_id, ecgs.c.site, ecgs.c.indication, ecgs.c.device)
    assert set(all_rows(engine, *said)) == {
        ("p1", "Ward 4", "chest pain", None),
        ("p2", "Clinic", None, "Cardio 200"),
    }

    store.put("ecg/record_list.csv", ABOUT.replace("Ward 4", "Ward 5").encode())
    assert score_all().scored_by_run == 1
    assert ("p1", "Ward 5", "chest pain", None) in all_rows(engine, *said)


def test_a_path_that_a_manifest_gives_to_two_patients_belongs_to_neither(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1))
    give_patients(store, ("p1", "a"), ("p2", "a"), ("", "b"))
    score_all()
    assert in_quarantine(engine) == {"ecg/a.hea": "patient_mismatch"}
    [(detail,)] = all_rows(engine, quarantine.c.detail)
    assert "ecg/record_list.csv line 2, ecg/record_list.csv line 3" in detail
    assert all_rows(engine, source_faults.c.line, source_faults.c.reason) == [(4, "row_id_missing")]


def test_a_file_and_a_manifest_that_disagree_are_not_scored(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    give_patients(store, ("8", "a"))
    score_all()
    assert in_quarantine(engine) == {"ecg/a.hea": "patient_mismatch"}
    assert "7" not in all_rows(engine, quarantine.c.detail)[0][0]


def test_a_replaced_file_is_scored_again_and_the_old_flag_is_void(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    score_all(ShapeScorer(threshold=0))
    store_ecg(store, "ecg/a.hea", heartbeats(2), comments=("<subject_id>: 7",))
    assert score_all(ShapeScorer(threshold=0)).scored == 1
    states = sorted(row[0] for row in all_rows(engine, flags.c.state))
    assert states == ["open", "withdrawn"]


def test_a_replaced_file_leaves_the_flags_of_an_ecg_that_another_file_holds(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    for name in ("a", "copy"):
        store_ecg(store, f"ecg/{name}.hea", heartbeats(1), comments=("<subject_id>: 7",))
    score_all(ShapeScorer(threshold=0))
    store_ecg(store, "ecg/a.hea", heartbeats(2), comments=("<subject_id>: 7",))
    score_all(ShapeScorer(threshold=0))
    assert all_rows(engine, flags.c.state) == [("open",)] * 2


def conflicting(store: ObjectStore) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    store_ecg(store, "ecg/b.hea", heartbeats(1), comments=("<subject_id>: 8",))


def test_a_conflict_is_settled_in_the_store_by_replacing_the_wrong_file(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    conflicting(store)
    assert score_all().quarantined == 2
    store_ecg(store, "ecg/b.hea", heartbeats(2), comments=("<subject_id>: 8",))
    assert score_all().counts() == {"indexed": 2, "scored": 2, "quarantined": 0, "pending": 0}
    assert sorted(all_rows(engine, ecgs.c.patient_id)) == [("7",), ("8",)]


def test_a_conflict_is_settled_in_the_store_by_deleting_the_wrong_file(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    conflicting(store)
    score_all()
    store.delete("ecg/b.hea")
    store.delete("ecg/b.dat")
    assert score_all().counts() == {"indexed": 1, "scored": 1, "quarantined": 0, "pending": 0}
    assert in_quarantine(engine) == {}
    assert all_rows(engine, ecgs.c.patient_id) == [("7",)]

    conflicting(store)  # it comes back
    assert score_all().quarantined == 2


def test_a_conflict_is_settled_by_the_manifest_that_made_it(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1))
    store_ecg(store, "ecg/b.hea", heartbeats(1))
    give_patients(store, ("7", "a"), ("8", "b"))
    assert score_all().quarantined == 2
    give_patients(store, ("7", "a"), ("7", "b"))
    assert score_all().counts() == {"indexed": 2, "scored": 2, "quarantined": 0, "pending": 0}
    assert all_rows(engine, ecgs.c.patient_id) == [("7",)]


def test_a_file_that_is_taken_out_of_the_store_leaves_quarantine(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/m.hea", heartbeats(1), comments=("<subject_id>: 7",))
    for name in ("a.scp", "m/x.scp", "m.scp", "z.scp"):
        store.put(f"ecg/{name}", b"\0")
    assert score_all().quarantined == 4
    for name in ("a.scp", "m.scp", "z.scp"):
        store.delete(f"ecg/{name}")
    assert score_all().counts() == {"indexed": 2, "scored": 1, "quarantined": 1, "pending": 0}
    assert in_quarantine(engine) == {"ecg/m/x.scp": "unsupported_format"}
    store.delete("ecg/m.hea")
    store.delete("ecg/m.dat")
    store.delete("ecg/m/x.scp")
    assert score_all().quarantined == 1  # nothing is listed: the folder may not be mounted


def test_what_lies_in_a_folder_that_cannot_be_listed_is_not_gone(
    engine: Engine, store: ObjectStore, score_all: ScoreAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("ecg/closed/x.scp", b"\0")
    store.put("ecg/open/x.scp", b"\0")
    score_all()
    really_list = LocalStore.list

    def closed(self: LocalStore, prefix: str, skipped: Skipped | None = None) -> Iterator[StoredObject]:
        if skipped is not None:
            skipped("ecg/closed")
        return (found for found in really_list(self, prefix) if "closed" not in found.key)

    monkeypatch.setattr(LocalStore, "list", closed)
    assert score_all().quarantined == 2
    assert in_quarantine(engine).keys() == {"ecg/closed/x.scp", "ecg/open/x.scp"}
