"""From files in a store to scores, flags and quarantine in a real Postgres."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, select, text, update

from stence import scoring
from stence.database.tables import (
    ecg_embeddings,
    ecg_measurements,
    ecgs,
    flags,
    monitoring_metrics,
    quarantine,
    reviews,
    runs,
    scores,
    worklist,
)
from stence.ecg import Recording
from stence.ecg.profile import profile
from stence.objects import ObjectStore
from stence.settings import Settings
from support.database import tampering
from support.ecgs import heartbeats, store_ecg
from support.models import ShapeScorer, register
from support.pseudonyms import pseudonym
from support.scoring import ScoreAll, all_rows, give_patients, in_quarantine, run_scorer


def test_every_ecg_ends_scored_or_in_quarantine_and_the_counts_add_up(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    for number in range(5):
        store_ecg(store, f"ecg/good{number}.hea", heartbeats(number))
    store_ecg(store, "ecg/flat.hea", np.zeros((12, 5000), np.int16))
    store_ecg(store, "ecg/short.hea", heartbeats(1, seconds=2))
    store_ecg(store, "ecg/nobody.hea", heartbeats(77))
    store.put("ecg/note.xml", b"<ecg/>")
    store.put("ecg/lonely.dat", b"\x00" * 100)
    give_patients(store, *((f"p{n}", f"good{n}") for n in range(5)), ("p8", "flat"), ("p9", "short"))

    summary = score_all()

    assert summary.counts() == {"indexed": 10, "scored": 5, "quarantined": 5, "pending": 0}
    assert in_quarantine(engine) == {
        "ecg/flat.hea": "flat_lead",
        "ecg/short.hea": "too_short",
        "ecg/nobody.hea": "unknown_patient",
        "ecg/note.xml": "unsupported_format",
        "ecg/lonely.dat": "unsupported_format",
    }
    assert {row[0] for row in all_rows(engine, ecgs.c.patient_id)} == {f"p{n}" for n in range(5)}
    assert all_rows(engine, runs.c.state, runs.c.scored_by_run) == [("finished", 5)]


def test_a_second_run_finds_nothing_to_do_and_a_new_file_is_taken_up(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    score_all()
    assert score_all().scored_by_run == 0
    store_ecg(store, "ecg/b.hea", heartbeats(2), comments=("<subject_id>: 8",))
    summary = score_all()
    assert (summary.scored_by_run, summary.scored) == (1, 2)
    assert all_rows(engine, runs.c.state) == [("finished",)] * 3


def test_another_model_scores_everything_again_and_keeps_the_first_ones_scores(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    score_all(ShapeScorer("shape-1"))
    assert score_all(ShapeScorer("shape-2")).scored_by_run == 1
    assert {row[0] for row in all_rows(engine, scores.c.model_version)} == {"shape-1", "shape-2"}


def test_a_file_sent_again_under_another_key_is_scored_once(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    for key in ("ecg/a.hea", "ecg/again.hea"):
        store_ecg(store, key, heartbeats(1), comments=("<subject_id>: 7",))
    assert score_all().counts() == {"indexed": 2, "scored": 2, "quarantined": 0, "pending": 0}
    assert len(all_rows(engine, scores.c.content_hash)) == 1


def test_flags_are_raised_at_the_threshold_and_keep_a_persons_judgement(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    score_all()
    ((probability,),) = all_rows(engine, scores.c.stenosis_70)
    raised = {row[0]: row[1:] for row in all_rows(engine, flags.c.target, flags.c.probability, flags.c.rule)}
    assert probability >= 0.5
    assert raised == {"stenosis_70": (probability, "chosen by the test")}

    with tampering(engine) as connection:
        ecg_id = connection.scalar(select(ecgs.c.id))
        scoring.reviews.review(connection, ecg_id, outcome="confirmed", by="cardiologist")
        connection.execute(update(worklist).values(state="pending"))
    score_all()
    judged = all_rows(engine, flags.c.state, flags.c.reviewed_by)
    assert judged == [("confirmed", "cardiologist")] * len(raised)


WITHDRAWN = """
INSERT INTO flags (content_hash, model_version, target, patient_id, probability, threshold, rule, state)
SELECT content_hash, model_version, 'rca_70', patient_id, probability, threshold, rule, 'withdrawn' FROM flags
"""


def test_the_flags_of_an_ecg_follow_its_newest_review_and_all_reviews_are_kept(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    for number in (1, 2):
        store_ecg(store, f"ecg/{number}.hea", heartbeats(number), comments=(f"<subject_id>: {number}",))
    score_all(ShapeScorer(threshold=0))
    with tampering(engine) as connection:
        connection.execute(text(WITHDRAWN))
        ecg_id = connection.scalar(select(ecgs.c.id).where(ecgs.c.patient_id == pseudonym("1")))
    for outcome, by in (("dismissed", "Dr A"), ("confirmed", " Dr B ")):
        with engine.begin() as connection:
            scoring.reviews.review(connection, ecg_id, outcome=outcome, by=by, note=f"by {by.strip()}")

    columns = (flags.c.patient_id, flags.c.state, flags.c.reviewed_by, flags.c.note)
    assert sorted(set(all_rows(engine, *columns)), key=str) == [
        ("1", "confirmed", "Dr B", "by Dr B"),
        ("1", "withdrawn", None, None),
        ("2", "open", None, None),
        ("2", "withdrawn", None, None),
    ]
    kept = (reviews.c.ecg_id, reviews.c.outcome, reviews.c.reviewed_by, reviews.c.note)
    assert all_rows(engine, *kept) == [
        (ecg_id, "dismissed", "Dr A", "by Dr A"),
        (ecg_id, "confirmed", "Dr B", "by Dr B"),
    ]


def test_an_ecg_that_cannot_be_reviewed_says_why_and_leaves_nothing(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    score_all(ShapeScorer(threshold=1.1))
    [(ecg_id,)] = all_rows(engine, ecgs.c.id)

    def refused(number: int, outcome: str = "confirmed", by: str = "Dr A") -> str:
        with pytest.raises(scoring.reviews.ReviewError) as caught, engine.begin() as connection:
            scoring.reviews.review(connection, number, outcome=outcome, by=by)
        return str(caught.value)

    assert refused(99) == "there is no ECG 99"
    assert refused(ecg_id) == f"ECG {ecg_id} has no flag to review"
    assert refused(ecg_id, "reviewed") == "the outcome of a review is confirmed or dismissed"
    assert refused(ecg_id, by=" ") == "a review says who reviewed"
    assert all_rows(engine, reviews.c.id) == []


def test_what_is_watched_is_written_with_the_score_and_once_an_ecg(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    for number in (1, 2):
        store_ecg(store, f"ecg/{number}.hea", heartbeats(number), comments=(f"<subject_id>: {number}",))
    store_ecg(store, "ecg/again.hea", heartbeats(1), comments=("<subject_id>: 1",))
    store_ecg(store, "ecg/flat.hea", np.zeros((12, 5000), np.int16), comments=("<subject_id>: 3",))
    for version in ("shape-1", "shape-2"):
        score_all(ShapeScorer(version))

    m, patient = ecg_measurements.c, ecgs.c.patient_id
    with engine.connect() as connection:
        measured = connection.execute(select(patient, ecg_measurements).join(ecg_measurements)).mappings()
        found = {row["patient_id"]: row for row in measured}
    assert found.keys() == {pseudonym("1"), pseudonym("2")}
    for number in (1, 2):
        expected = profile(Recording((heartbeats(number) / 1000).astype(np.float32), 500.0))
        row = found[pseudonym(str(number))]
        assert row["heart_rate"] == expected.heart_rate
        for name in ("r_mv", "s_mv", "noise_uv"):
            np.testing.assert_allclose(row[name], getattr(expected, name), rtol=1e-5)
    assert len(all_rows(engine, m.content_hash)) == 2
    sketches = all_rows(engine, ecg_embeddings.c.model_version, ecg_embeddings.c.sketch)
    assert sorted(version for version, _ in sketches) == ["shape-1", "shape-1", "shape-2", "shape-2"]
    assert {len(sketch) for _, sketch in sketches} == {32}


def test_an_ecg_without_beats_is_refused(engine: Engine, store: ObjectStore, score_all: ScoreAll) -> None:
    tremor = 60 * np.sin(np.arange(5000) / 20) + np.random.default_rng(1).normal(0, 5, (12, 5000))
    store_ecg(store, "ecg/a.hea", tremor.astype(np.int16), comments=("<subject_id>: 7",))
    assert score_all().scored == 0
    assert in_quarantine(engine) == {"ecg/a.hea": "no_beats"}


def test_an_ecg_in_a_conflict_of_patients_keeps_no_embedding(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    score_all()
    assert len(all_rows(engine, ecg_embeddings.c.sketch)) == 1
    store_ecg(store, "ecg/b.hea", heartbeats(1), comments=("<subject_id>: 8",))
    score_all()
    assert all_rows(engine, ecg_embeddings.c.sketch) == all_rows(engine, scores.c.run_id) == []


@pytest.mark.parametrize("broken", [[np.nan] * 6, [0.9] * 5 + [np.nan], [np.inf] + [0.9] * 5])
def test_a_score_that_is_no_number_goes_to_quarantine(
    engine: Engine, store: ObjectStore, score_all: ScoreAll, broken: list[float]
) -> None:
    class Broken(ShapeScorer):
        def score(self, ecgs: Any) -> Any:
            return np.tile(broken, (len(ecgs), 1))

    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    score_all(Broken())
    assert in_quarantine(engine) == {"ecg/a.hea": "score_not_finite"}


def test_a_model_that_fails_leaves_everything_pending_and_the_run_says_why(
    engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll
) -> None:
    class Failing(ShapeScorer):
        def score(self, ecgs: Any) -> Any:
            raise MemoryError("no room on the device")

    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    with pytest.raises(MemoryError):
        score_all(Failing())
    assert all_rows(engine, worklist.c.state) == [("pending",)]
    ((state, error),) = all_rows(engine, runs.c.state, runs.c.error)
    assert state == "failed"
    assert re.fullmatch(r"MemoryError at test_scoring.py:\d+", error)
    assert score_all().scored == 1


def test_a_late_writer_that_lost_its_lease_changes_nothing(
    engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll
) -> None:
    class TakenOver(ShapeScorer):
        """While it infers, another scorer takes its ECGs over."""

        def score(self, ecgs: Any) -> Any:
            with tampering(engine) as connection:
                connection.execute(update(worklist).values(state="pending", attempt=worklist.c.attempt + 1))
            return np.zeros((len(ecgs), 6))

    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    register(engine, ShapeScorer())
    scoring.index(engine, store, settings)
    with scoring.open_run(engine, store, settings, TakenOver()) as run:
        run.score(limit=1)
    assert all_rows(engine, scores.c.content_hash) == []
    assert score_all().scored == 1
    assert all_rows(engine, scores.c.stenosis_50) != [(0.0,)]


def test_the_metrics_of_a_run_can_be_had_by_sql(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    store.put("ecg/b.dcm", b"not DICOM")
    summary = score_all()
    m = monitoring_metrics.c
    figures = {(name, part): value for name, part, value in all_rows(engine, m.name, m.slice_value, m.value)}
    assert figures["ecgs_indexed", None] == 2
    assert figures["ecgs_scored", None] == 1
    assert figures["ecgs_quarantined", None] == 1
    assert figures["ecgs_pending", None] == 0
    assert figures["ecgs_per_second", None] == pytest.approx(2 / figures["run_seconds", None])
    assert {part for name, part in figures if name == "stage_seconds"} == set(summary.seconds_by_stage)
    assert sum(value for (name, _), value in figures.items() if name == "ecgs_refused") == 1


def test_records_whose_names_begin_alike_keep_their_own_signals(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    for number, name in enumerate(("rec", "rec.foo", "rec.foo.bar", "rec-1")):
        store_ecg(store, f"ecg/{name}.hea", heartbeats(number), comments=("<subject_id>: 7",))
    assert score_all().counts() == {"indexed": 4, "scored": 4, "quarantined": 0, "pending": 0}


def test_the_files_of_a_record_are_too_large_together(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    limit = len(store.get("ecg/a.dat")) + 1
    run_scorer(engine, store, settings.model_copy(update={"max_object_bytes": limit}), ShapeScorer())
    assert in_quarantine(engine) == {"ecg/a.hea": "object_too_large"}


def test_only_open_rows_of_the_quarantine_are_retried_or_dismissed_and_only_those_that_are_meant(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    for name in ("a", "b"):
        store.put(f"ecg/{name}.scp", b"x")
    store_ecg(store, "ecg/nobody.hea", heartbeats(1))
    score_all()
    q = scoring.quarantine
    with engine.begin() as connection:
        ids = {row[1]: row[0] for row in q.list_open(connection)[1]}
        assert {row[1] for row in q.list_open(connection, reason="unknown_patient")[1]} == {"ecg/nobody.hea"}
        assert q.dismiss(connection, ids=[ids["ecg/a.scp"]], by="archivist") == 1
        assert q.dismiss(connection, ids=[ids["ecg/a.scp"]], by="somebody else") == 0
        assert q.retry(connection, reason="unknown_patient") == 1
        assert q.retry(connection, ids=[ids["ecg/a.scp"], ids["ecg/b.scp"]]) == 1
        assert q.list_open(connection)[1] == []
    assert sorted(all_rows(engine, worklist.c.state)) == [("pending",), ("pending",), ("quarantined",)]
    assert sorted(all_rows(engine, quarantine.c.state, quarantine.c.closed_by), key=str) == [
        ("dismissed", "archivist"), ("retried", None), ("retried", None),
    ]  # fmt: skip


def test_what_else_is_wrong_with_an_ecg_is_told_in_short(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    signal = heartbeats(1)
    signal[6:] = 0
    store_ecg(store, "ecg/a.hea", signal, comments=("<subject_id>: 7",))
    score_all()
    ((detail, lead),) = all_rows(engine, quarantine.c.detail, quarantine.c.lead)
    assert lead == "V1"
    assert detail.endswith("; also flat_lead in V2, V3, V4, V5, V6")
