"""Merged patient numbers: everything follows, both ways, and a patient stays in one split."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from stence import cohort, scoring
from stence.database import queries
from stence.database.outage import transact
from stence.database.tables import cath_studies, ecgs, patient_merges, source_faults
from stence.domain.splits import Split, split_of
from stence.errors import PatientMergeError
from stence.ingest import merges
from stence.ingest.patients import load_patients
from stence.objects import ObjectStore
from stence.settings import Settings
from support.identity import listed, patients_by_key, put_ecgs, put_manifest, put_named
from support.models import ShapeScorer
from support.pseudonyms import PSEUDONYMS, pseudonym
from support.scoring import ScoreAll, all_rows, in_quarantine
from support.waiting import wait_until

REPORT = "study_id,patient_id,performed_at,segment,degree\nS1,{},2026-03-10T12:00:00,6,90\n"


@pytest.fixture
def score(score_all: ScoreAll) -> ScoreAll:
    """Score with a model that flags every ECG."""
    return lambda version="shape-1": score_all(ShapeScorer(version, threshold=0))


def put_merges(store: ObjectStore, *rows: tuple[str, str], key: str = "patients/merges.csv") -> None:
    lines = ["former_id,present_id", *(",".join(row) for row in rows), ""]
    store.put(key, "\n".join(lines).encode())


def of_split(split: Split, prefix: str) -> str:
    """A number of a patient in that split."""
    return next(f"{prefix}{n}" for n in range(1000) if split_of(pseudonym(f"{prefix}{n}")) is split)


def merge(engine: Engine, former: str, present: str) -> str:
    with engine.begin() as connection:
        return merges.merge(connection, PSEUDONYMS, former, present, by="archivist", why="one person")


def separate(engine: Engine, former: str) -> None:
    with engine.begin() as connection:
        merges.unmerge(connection, PSEUDONYMS, former, by="archivist")


def test_ecgs_flags_reviews_and_studies_follow_a_merge_at_once_and_again_when_it_ends(
    engine: Engine, store: ObjectStore, settings: Settings, score: ScoreAll
) -> None:
    put_named(store, "1", "OLD", 1)
    put_ecgs(store, "2")
    put_manifest(store, ("OLD", "2"))
    put_named(store, "3", "NEW", 3)
    store.put("reports/r.csv", REPORT.format("OLD").encode())
    score("shape-1")
    score("shape-2")
    cohort.index_reports(engine, store, settings)
    with engine.begin() as connection:
        ecg_id = connection.scalar(select(ecgs.c.id).where(ecgs.c.patient_id == pseudonym("OLD")).limit(1))
        scoring.reviews.review(connection, ecg_id, outcome="confirmed", by="Dr A")

    merge(engine, "OLD", "NEW")
    assert set(patients_by_key(engine).values()) == {"NEW"}
    assert listed(engine) == {"NEW"}
    assert all_rows(engine, cath_studies.c.patient_id) == [("NEW",)]
    with engine.connect() as connection:
        _, history = queries.run(connection, "patient_history", {"patient": pseudonym("OLD")})
        assert len(history) == 6  # three ECGs and two models, asked by the former number
        columns, reviews = queries.run(connection, "reviews", {})
        assert [row[list(columns).index("patient_id")] for row in reviews] == [pseudonym("NEW")]
    score("shape-2")
    cohort.index_reports(engine, store, settings)
    assert listed(engine) == {"NEW"}
    assert all_rows(engine, cath_studies.c.patient_id) == [("NEW",)]

    separate(engine, "OLD")
    score("shape-2")
    cohort.index_reports(engine, store, settings)
    assert patients_by_key(engine) == {"ecg/1.hea": "OLD", "ecg/2.hea": "OLD", "ecg/3.hea": "NEW"}
    assert listed(engine) == {"OLD", "NEW"}
    assert all_rows(engine, cath_studies.c.patient_id) == [("OLD",)]
    assert all_rows(engine, patient_merges.c.state, patient_merges.c.ended_by) == [("ended", "archivist")]


def test_a_file_and_a_manifest_that_name_two_numbers_of_one_patient_agree(
    engine: Engine, store: ObjectStore, score: ScoreAll
) -> None:
    put_named(store, "1", "OLD", 1)
    put_manifest(store, ("NEW", "1"))
    score()
    assert in_quarantine(engine) == {"ecg/1.hea": "patient_mismatch"}
    merge(engine, "OLD", "NEW")
    score()
    assert in_quarantine(engine) == {}
    assert patients_by_key(engine) == {"ecg/1.hea": "NEW"}


def test_manifests_that_name_two_numbers_of_one_patient_agree(
    engine: Engine, store: ObjectStore, score: ScoreAll
) -> None:
    put_ecgs(store, "1")
    put_manifest(store, ("OLD", "1"), ("NEW", "1"))
    score()
    assert in_quarantine(engine) == {"ecg/1.hea": "patient_mismatch"}
    merge(engine, "OLD", "NEW")
    score()
    assert patients_by_key(engine) == {"ecg/1.hea": "NEW"}
    separate(engine, "OLD")
    score()
    assert in_quarantine(engine) == {"ecg/1.hea": "patient_mismatch"}
    assert listed(engine) == set()


def test_one_ecg_under_two_numbers_of_one_patient_is_no_conflict(
    engine: Engine, store: ObjectStore, score: ScoreAll
) -> None:
    put_named(store, "a", "OLD", 1)
    put_named(store, "b", "NEW", 1)
    assert score().quarantined == 2
    merge(engine, "OLD", "NEW")
    assert score().counts() == {"indexed": 2, "scored": 2, "quarantined": 0, "pending": 0}
    assert listed(engine) == {"NEW"}
    separate(engine, "OLD")
    assert score().quarantined == 2
    assert listed(engine) == set()


def test_merges_of_a_table_are_mirrored_and_chains_are_followed(
    engine: Engine, store: ObjectStore, score: ScoreAll
) -> None:
    put_named(store, "1", "A", 1)
    put_merges(store, ("A", "B"), ("B", "C"))
    score()
    assert listed(engine) == {"C"}
    put_merges(store, ("A", "B"))
    score()
    assert listed(engine) == {"B"}
    put_merges(store)
    score()
    assert listed(engine) == {"A"}
    states = all_rows(engine, patient_merges.c.former_id, patient_merges.c.state)
    assert sorted(states) == [("A", "ended"), ("B", "ended")]


def test_without_any_table_nothing_is_separated_for_the_folder_may_not_be_mounted(
    engine: Engine, store: ObjectStore, score: ScoreAll
) -> None:
    put_named(store, "1", "A", 1)
    put_merges(store, ("A", "B"))
    score()
    store.delete("patients/merges.csv")
    score()
    assert listed(engine) == {"B"}


@pytest.mark.parametrize(
    ("rows", "reasons"),
    [
        ([("A", "B"), ("A", "C")], [(2, "row_merge_contradicted"), (3, "row_merge_contradicted")]),
        ([("A", "B"), ("B", "A")], [(2, "row_merge_circular"), (3, "row_merge_circular")]),
        ([("A", "A")], [(2, "row_merge_circular")]),
        ([("A", "UNKNOWN"), ("0000", "B")], [(2, "row_id_missing"), (3, "row_id_missing")]),
        ([("A\\X", "B"), ("A", '"B')], [(2, "row_id_unreadable"), (3, "row_not_a_record")]),
    ],
)
def test_merges_that_cannot_hold_merge_nobody(
    engine: Engine, store: ObjectStore, score: ScoreAll, rows: list[tuple[str, str]], reasons: list[Any]
) -> None:
    put_named(store, "1", "A", 1)
    put_merges(store, *rows, ("X", "Y"))
    score()
    assert listed(engine) == {"A"}
    assert sorted(all_rows(engine, source_faults.c.line, source_faults.c.reason)) == reasons
    assert transact(engine, 0, load_patients).present(pseudonym("X")) == pseudonym("Y")


def test_a_command_contradicts_neither_a_table_nor_itself(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    put_merges(store, ("A", "B"))
    merges.import_merges(engine, store, settings)
    merge(engine, "C", "A")
    assert transact(engine, 0, load_patients).present(pseudonym("C")) == pseudonym("B")
    for former, present in (("A", "D"), ("B", "C"), ("E", "E"), ("UNKNOWN", "E"), ("E\\", "F")):
        with pytest.raises(PatientMergeError):
            merge(engine, former, present)
    with pytest.raises(PatientMergeError, match="take the row out"):
        separate(engine, "A")
    with pytest.raises(PatientMergeError, match="not merged"):
        separate(engine, "B")
    put_merges(store, ("A", "B"), ("C", "Z"))
    merges.import_merges(engine, store, settings)
    assert transact(engine, 0, load_patients).present(pseudonym("C")) == pseudonym("B")
    assert all_rows(engine, source_faults.c.reason) == [("row_merge_contradicted",)]


@pytest.mark.parametrize("trained", ["former", "present"])
def test_a_merged_patient_is_of_the_split_that_was_used_most_for_good(
    engine: Engine, store: ObjectStore, settings: Settings, trained: str
) -> None:
    train, test = of_split(Split.TRAIN, "T"), of_split(Split.TEST, "E")
    former, present = (train, test) if trained == "former" else (test, train)
    store.put("reports/r.csv", REPORT.format(former).encode())
    cohort.index_reports(engine, store, settings)
    assert "all are train from now on" in merge(engine, former, present)
    assert all_rows(engine, cath_studies.c.patient_id, cath_studies.c.split) == [(present, "train")]
    assert transact(engine, 0, load_patients).split_of(pseudonym(former)) is Split.TRAIN
    assert all_rows(engine, patient_merges.c.split) == [("train",)]

    separate(engine, former)
    cohort.index_reports(engine, store, settings)
    assert all_rows(engine, cath_studies.c.patient_id, cath_studies.c.split) == [(former, "train")]
    patients = transact(engine, 0, load_patients)
    assert {patients.split_of(pseudonym(number)) for number in (former, present)} == {Split.TRAIN}


def test_numbers_of_one_split_stay_there_and_nothing_is_decided(engine: Engine) -> None:
    one, other = of_split(Split.TEST, "E"), of_split(Split.TEST, "F")
    assert merge(engine, one, other) == "Both numbers are of the same split, test."
    assert not transact(engine, 0, load_patients).splits


def test_merging_by_command(engine: Engine, store: ObjectStore, score: ScoreAll, stence: Any) -> None:
    put_named(store, "1", "OLD-4711", 1)
    score()
    done = stence("patients", "merge", "OLD-4711", "NEW-4712", "--by", "archivist", "--why", "one person")
    assert done.exit_code == 0, done.output
    assert listed(engine) == {"NEW-4712"}
    for number in ("OLD-4711", "NEW-4712"):
        shown = stence("patients", "show", pseudonym(number)).output
        assert pseudonym("OLD-4711")[:6] in shown
        assert pseudonym("NEW-4712")[:6] in shown
        assert "archivist" in shown
    again = stence("patients", "merge", "OLD-4711", "X", "--by", "archivist", "--why", "again")
    assert again.exit_code == 1
    assert "merged already" in again.output
    assert "Separated" in stence("patients", "separate", "OLD-4711", "--by", "archivist").output
    score()
    assert listed(engine) == {"OLD-4711"}


WAITING = """
SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'patient_merges'::regclass AND NOT granted)
"""


def test_a_table_that_is_read_while_somebody_merges_the_other_way_makes_no_circle(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    put_merges(store, ("Y", "X"))

    def somebody_waits() -> bool:
        with engine.connect() as looking:
            return bool(looking.scalar(text(WAITING)))

    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            merges.merge(connection, PSEUDONYMS, "X", "Y", by="archivist", why="one person")
            imported = pool.submit(merges.import_merges, engine, store, settings)
            wait_until(lambda: somebody_waits() or imported.done())
        imported.result()
    patients = transact(engine, 0, load_patients)
    assert {patients.present(pseudonym(number)) for number in ("X", "Y")} == {pseudonym("Y")}
    assert len(all_rows(engine, source_faults.c.reason)) == 1


@pytest.mark.slow
def test_more_merges_end_at_once_than_a_statement_has_parameters(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    """The table of a whole hospital is emptied: Postgres takes 65,535 parameters."""
    put_merges(store, *((f"F{number}", f"P{number}") for number in range(66_000)))
    scoring.index(engine, store, settings)
    assert all_rows(engine, patient_merges.c.state).count(("active",)) == 66_000
    put_merges(store)
    scoring.index(engine, store, settings)
    assert all_rows(engine, patient_merges.c.state).count(("active",)) == 0
