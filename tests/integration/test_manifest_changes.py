"""Manifests that change: what one no longer says, or another contradicts, no longer holds."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, select, text

from stence import scoring
from stence.database.tables import (
    ecgs,
    flags,
    quarantine,
    scores,
)
from stence.objects import ObjectStore
from stence.settings import Settings
from support.ecgs import heartbeats, store_ecg
from support.identity import listed, put_ecgs, put_manifest, put_named
from support.models import ShapeScorer, promote
from support.scoring import ScoreAll, all_rows, in_quarantine

FLAGGING = 0.0


@pytest.fixture
def score(score_all: ScoreAll) -> ScoreAll:
    """Score with a model that flags every ECG."""
    return lambda version="shape-1": score_all(ShapeScorer(version, threshold=FLAGGING))


def test_two_manifests_that_give_a_file_to_two_patients_cancel_each_other_out_until_one_is_mended(
    engine: Engine, store: ObjectStore, score: ScoreAll
) -> None:
    put_ecgs(store, "a/1", "a/2")
    put_manifest(store, ("P1", "a/1"), ("P2", "a/2"))
    score()
    assert listed(engine) == {"P1", "P2"}

    put_manifest(store, ("Q1", "1"), key="ecg/a/record_list.csv")
    summary = score()
    assert summary.counts() == {"indexed": 2, "scored": 1, "quarantined": 1, "pending": 0}
    assert in_quarantine(engine) == {"ecg/a/1.hea": "patient_mismatch"}
    [(detail,)] = all_rows(engine, quarantine.c.detail)
    assert "ecg/a/record_list.csv line 2, ecg/record_list.csv line 2" in detail
    assert listed(engine) == {"P2"}
    assert len(all_rows(engine, scores.c.content_hash)) == 1
    with engine.connect() as connection:
        shown = connection.execute(
            text("SELECT source_key, line, reason FROM unusable_rows ORDER BY 1")
        ).all()
    assert [tuple(row) for row in shown] == [
        ("ecg/a/record_list.csv", 2, "row_two_patients"),
        ("ecg/record_list.csv", 2, "row_two_patients"),
    ]

    put_manifest(store, ("P1", "1"), key="ecg/a/record_list.csv")
    assert score().counts() == {"indexed": 2, "scored": 2, "quarantined": 0, "pending": 0}
    assert listed(engine) == {"P1", "P2"}


def test_a_file_that_names_its_patient_is_not_scored_while_manifests_contradict_each_other(
    engine: Engine, store: ObjectStore, score: ScoreAll
) -> None:
    put_named(store, "1", "P1", 1)
    put_manifest(store, ("P1", "1"), ("Q1", "1"))
    score()
    assert in_quarantine(engine) == {"ecg/1.hea": "patient_mismatch"}


def test_a_row_that_is_withdrawn_takes_flag_and_score_with_it(
    engine: Engine, store: ObjectStore, settings: Settings, score: ScoreAll
) -> None:
    put_ecgs(store, "1", "2")
    put_manifest(store, ("P1", "1"), ("P2", "2"))
    score()
    put_manifest(store, ("P1", "1"))
    scoring.index(engine, store, settings)
    assert listed(engine) == {"P1"}  # at once, before anything is scored

    score()
    assert in_quarantine(engine) == {"ecg/2.hea": "unknown_patient"}
    assert listed(engine) == {"P1"}
    assert len(all_rows(engine, scores.c.content_hash)) == 1

    put_manifest(store, ("P1", "1"), ("P3", "2"))
    score()
    assert in_quarantine(engine) == {}
    assert listed(engine) == {"P1", "P3"}


def test_a_row_that_is_contradicted_later_takes_them_as_well(
    engine: Engine, store: ObjectStore, score: ScoreAll
) -> None:
    put_ecgs(store, "1", "2")
    put_manifest(store, ("P1", "1"), ("P2", "2"))
    score()
    put_manifest(store, ("P1", "1"), ("P2", "2"), ("P9", "2"))
    score()
    assert in_quarantine(engine) == {"ecg/2.hea": "patient_mismatch"}
    assert listed(engine) == {"P1"}


def test_a_deleted_manifest_no_longer_holds(engine: Engine, store: ObjectStore, score: ScoreAll) -> None:
    put_ecgs(store, "1", "a/2")
    put_manifest(store, ("P1", "1"))
    put_manifest(store, ("P2", "2"), key="ecg/a/record_list.csv")
    score()
    store.delete("ecg/a/record_list.csv")
    score()
    assert in_quarantine(engine) == {"ecg/a/2.hea": "unknown_patient"}
    assert listed(engine) == {"P1"}


def test_a_manifest_that_is_gone_with_its_ecgs_is_kept_for_the_folder_may_not_be_mounted(
    engine: Engine, store: ObjectStore, score: ScoreAll
) -> None:
    put_ecgs(store, "1", "a/2")
    put_manifest(store, ("P1", "1"))
    put_manifest(store, ("P2", "2"), key="ecg/a/record_list.csv")
    score()
    for name in ("record_list.csv", "2.hea", "2.dat"):
        store.delete(f"ecg/a/{name}")
    score()
    assert listed(engine) == {"P1", "P2"}


def test_a_reviewed_flag_stays_reviewed_when_its_row_is_withdrawn(
    engine: Engine, store: ObjectStore, score: ScoreAll
) -> None:
    put_ecgs(store, "1")
    put_manifest(store, ("P1", "1"))
    score()
    with engine.begin() as connection:
        ecg_id = connection.scalar(select(ecgs.c.id))
        scoring.reviews.review(connection, ecg_id, outcome="confirmed", by="Dr A")
    put_manifest(store, ("P2", "1"))
    score()
    assert listed(engine) == {"P2"}  # the ECG is P2's, and what was found in it
    assert set(all_rows(engine, flags.c.state, flags.c.reviewed_by)) == {("confirmed", "Dr A")}


def test_a_corrected_patient_moves_the_flags_of_every_model(
    engine: Engine, store: ObjectStore, score: ScoreAll
) -> None:
    put_ecgs(store, "1")
    put_manifest(store, ("P1", "1"))
    score("shape-1")
    promote(engine, ShapeScorer("shape-2", threshold=0))
    score("shape-2")
    put_manifest(store, ("P2", "1"))
    score("shape-2")
    assert listed(engine) == {"P2"}
    moved = set(all_rows(engine, flags.c.model_version, flags.c.patient_id, flags.c.state))
    assert moved == {("shape-1", "P2", "withdrawn"), ("shape-2", "P2", "open")}


def test_a_mismatch_that_comes_to_light_after_scoring_voids_flag_and_score(
    engine: Engine, store: ObjectStore, score: ScoreAll
) -> None:
    put_named(store, "1", "P1", 1)
    score("shape-1")
    put_manifest(store, ("P2", "1"))
    score("shape-2")
    assert in_quarantine(engine) == {"ecg/1.hea": "patient_mismatch"}
    assert listed(engine) == set()
    assert all_rows(engine, scores.c.content_hash) == []


def test_an_ecg_whose_copy_has_a_patient_keeps_its_score(
    engine: Engine, store: ObjectStore, score: ScoreAll
) -> None:
    put_named(store, "own", "P1", 1)
    store_ecg(store, "ecg/copy.hea", heartbeats(1))
    put_manifest(store, ("P1", "copy"))
    score()
    put_manifest(store)
    score()
    assert in_quarantine(engine) == {"ecg/copy.hea": "unknown_patient"}
    assert listed(engine) == {"P1"}


def test_a_patient_corrected_in_the_file_itself_moves_the_flags_of_every_model(
    engine: Engine, store: ObjectStore, score: ScoreAll
) -> None:
    put_named(store, "1", "P1", 1)
    score("shape-1")
    score("shape-2")
    put_named(store, "1", "P2", 1)
    score("shape-2")
    assert listed(engine) == {"P2"}
    assert {patient for (patient,) in all_rows(engine, flags.c.patient_id)} == {"P2"}
