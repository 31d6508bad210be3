"""From files in a store to scores, flags and quarantine in a real Postgres."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, select, text, update

from stence import registry, scoring
from stence.database.tables import (
    ecg_embeddings,
    ecg_measurements,
    ecgs,
    flags,
    monitoring_metrics,
    objects,
    quarantine,
    reviews,
    runs,
    scores,
    worklist,
)
from stence.ecg import Recording
from stence.ecg.profile import profile
from stence.errors import ObjectForbiddenError
from stence.objects import ObjectStore, open_store
from stence.scoring import RunSummary
from stence.settings import Settings
from support.ecgs import heartbeats, manifest, store_ecg
from support.models import ShapeScorer, register

ScoreAll = Callable[..., RunSummary]


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    return open_store(settings.resolved_store_url, settings)


@pytest.fixture
def score_all(engine: Engine, store: ObjectStore, settings: Settings) -> ScoreAll:
    """Index the store and score what is there, as the score flow does."""

    def action(scorer: ShapeScorer | None = None) -> RunSummary:
        scorer = scorer or ShapeScorer()
        register(engine, scorer)
        scoring.index(engine, store, settings)
        with scoring.open_run(engine, store, settings, scorer) as run:
            while run.score(limit=64):
                pass
        return run.summary()

    return action


def all_rows(engine: Engine, *columns: Any) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(*columns))]


def in_quarantine(engine: Engine) -> dict[str, str]:
    """Reason by key of every open row."""
    statement = (
        select(objects.c.key, quarantine.c.reason).join(quarantine).where(quarantine.c.state == "open")
    )
    with engine.connect() as connection:
        return dict(tuple(row) for row in connection.execute(statement))


def give_patients(store: ObjectStore, *rows: tuple[str, str]) -> None:
    store.put("ecg/record_list.csv", manifest([(p, "2026-03-01 08:30:00", path) for p, path in rows]))


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
    store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    score_all()
    assert score_all().scored_by_run == 0
    store_ecg(store, "ecg/b.hea", heartbeats(2), comments=("<subject_id>: 8",))
    summary = score_all()
    assert (summary.scored_by_run, summary.scored) == (1, 2)


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
        assert list(connection.scalars(open_flags)) == ["9"]


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
p2,b,2026-03-01 08:30:00, ,
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
    engine: Engine, store: ObjectStore, score_all: ScoreAll, caplog: pytest.LogCaptureFixture
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1))
    give_patients(store, ("p1", "a"), ("p2", "a"), ("", "b"))
    score_all()
    assert in_quarantine(engine) == {"ecg/a.hea": "unknown_patient"}
    assert "line 2" in caplog.text
    assert "line 3" in caplog.text
    assert "line 4: subject_id or path is empty" in caplog.text


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
    assert states == ["open"] * 6 + ["withdrawn"] * 6


def test_flags_are_raised_at_the_threshold_and_keep_a_persons_judgement(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    score_all()
    ((p50, p70),) = all_rows(engine, scores.c.stenosis_50, scores.c.stenosis_70)
    raised = {row[0]: row[1:] for row in all_rows(engine, flags.c.target, flags.c.probability, flags.c.rule)}
    assert ("stenosis_50" in raised) == (p50 >= 0.5)
    assert ("stenosis_70" in raised) == (p70 >= 0.5)
    assert all(rule == "chosen by the test" for _, rule in raised.values())

    with engine.begin() as connection:
        ecg_id = connection.scalar(select(ecgs.c.id))
        scoring.reviews.review(connection, ecg_id, outcome="confirmed", by="cardiologist")
        connection.execute(update(worklist).values(state="pending"))
    score_all()
    judged = all_rows(engine, flags.c.state, flags.c.reviewed_by)
    assert judged == [("confirmed", "cardiologist")] * len(raised)


def test_the_flags_of_an_ecg_follow_its_newest_review_and_all_reviews_are_kept(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    for number in (1, 2):
        store_ecg(store, f"ecg/{number}.hea", heartbeats(number), comments=(f"<subject_id>: {number}",))
    score_all(ShapeScorer(threshold=0))
    with engine.begin() as connection:
        connection.execute(update(flags).where(flags.c.target == "rca_70").values(state="withdrawn"))
        ecg_id = connection.scalar(select(ecgs.c.id).where(ecgs.c.patient_id == "1"))
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
    assert found.keys() == {"1", "2"}
    for number in (1, 2):
        expected = profile(Recording((heartbeats(number) / 1000).astype(np.float32), 500.0))
        row = found[str(number)]
        assert row["heart_rate"] == expected.heart_rate
        for name in ("r_mv", "s_mv", "noise_uv"):
            np.testing.assert_allclose(row[name], getattr(expected, name), rtol=1e-5)
    assert len(all_rows(engine, m.content_hash)) == 2
    sketches = all_rows(engine, ecg_embeddings.c.model_version, ecg_embeddings.c.sketch)
    assert sorted(version for version, _ in sketches) == ["shape-1", "shape-1", "shape-2", "shape-2"]
    assert {len(sketch) for _, sketch in sketches} == {32}


def test_an_ecg_without_beats_is_scored_and_has_no_heart_rate(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    noise = np.random.default_rng(1).normal(0, 60, (12, 5000)).astype(np.int16)
    store_ecg(store, "ecg/a.hea", noise, comments=("<subject_id>: 7",))
    assert score_all().scored == 1
    assert all_rows(engine, ecg_measurements.c.heart_rate) == [(None,)]


def test_an_ecg_in_a_conflict_of_patients_keeps_no_embedding(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    score_all()
    assert len(all_rows(engine, ecg_embeddings.c.sketch)) == 1
    store_ecg(store, "ecg/b.hea", heartbeats(1), comments=("<subject_id>: 8",))
    score_all()
    assert all_rows(engine, ecg_embeddings.c.sketch) == all_rows(engine, scores.c.run_id) == []


def test_a_score_that_is_no_number_goes_to_quarantine(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    class Broken(ShapeScorer):
        def score(self, ecgs: Any) -> Any:
            return np.full((len(ecgs), 6), np.nan)

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
    assert all_rows(engine, runs.c.state, runs.c.error) == [("failed", "MemoryError: no room on the device")]
    assert score_all().scored == 1


def test_a_late_writer_that_lost_its_lease_changes_nothing(
    engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll
) -> None:
    class TakenOver(ShapeScorer):
        """While it infers, another scorer takes its ECGs over."""

        def score(self, ecgs: Any) -> Any:
            with engine.begin() as connection:
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
    assert {part for name, part in figures if name == "stage_seconds"} == set(summary.seconds_by_stage)
    assert sum(value for (name, _), value in figures.items() if name == "ecgs_refused") == 1


def test_records_whose_names_begin_alike_keep_their_own_signals(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    for number, name in enumerate(("rec", "rec.foo", "rec.foo.bar", "rec-1")):
        store_ecg(store, f"ecg/{name}.hea", heartbeats(number), comments=("<subject_id>: 7",))
    assert score_all().counts() == {"indexed": 4, "scored": 4, "quarantined": 0, "pending": 0}


def test_a_file_that_may_not_be_read_stops_nobody_else(
    engine: Engine,
    settings: Settings,
    store: ObjectStore,
    score_all: ScoreAll,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    get = type(store).get

    def guarded(self: Any, key: str, limit_bytes: int | None = None) -> bytes:
        if key == "ecg/closed.hea":
            raise ObjectForbiddenError("closed")
        return get(self, key, limit_bytes)

    monkeypatch.setattr(type(store), "get", guarded)
    for number, name in enumerate(("open", "closed")):
        store_ecg(store, f"ecg/{name}.hea", heartbeats(number), comments=("<subject_id>: 7",))
    assert score_all().scored == 1
    assert in_quarantine(engine) == {"ecg/closed.hea": "object_forbidden"}


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


# --- shadow -------------------------------------------------------------------------------------------------


def enshadow(engine: Engine, scorer: ShapeScorer) -> None:
    register(engine, scorer)
    with engine.begin() as connection:
        registry.shadow(connection, scorer.model_version, by="gate", why="passed")


def promote(engine: Engine, scorer: ShapeScorer) -> int:
    with engine.begin() as connection:
        return registry.promote(connection, scorer.model_version, by="ada", why="better")


def raised(engine: Engine, version: str) -> list[tuple[Any, ...]]:
    """What is flagged by a model, but for when."""
    columns = [column for column in flags.c if column.name not in {"id", "model_version", "raised_at"}]
    statement = select(*columns).where(flags.c.model_version == version)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(statement.order_by("content_hash", "target"))]


def until_waiting(engine: Engine, count: int) -> None:
    """Until so many transactions wait for a lock; fails where they do not."""
    waiting = text("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
    for _ in range(100):
        with engine.connect() as connection:
            if connection.scalar(waiting) == count:
                return
        time.sleep(0.1)
    pytest.fail(f"{count} transactions should wait for each other")


def hospital(store: ObjectStore, ecgs: int = 4) -> None:
    for number in range(ecgs):
        store_ecg(store, f"ecg/{number}.hea", heartbeats(number), comments=(f"<subject_id>: {number}",))


def test_a_shadow_scores_without_flags_and_promotion_raises_those_it_would_have_raised(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    hospital(store)
    champion, shadow = ShapeScorer("shape-1", threshold=0.4), ShapeScorer("shape-2", threshold=0.4)
    score_all(champion)
    enshadow(engine, shadow)
    summary = score_all(shadow)
    assert (summary.scored, summary.flagged) == (4, {})
    assert raised(engine, "shape-2") == []

    expected = raised(engine, "shape-1")
    assert 0 < len(expected) < 4 * 6
    assert promote(engine, shadow) == len(expected)
    assert raised(engine, "shape-2") == expected
    store_ecg(store, "ecg/new.hea", heartbeats(9), comments=("<subject_id>: 9",))
    score_all(champion)
    score_all(shadow)
    assert raised(engine, "shape-2") == raised(engine, "shape-1") != expected


def test_an_ecg_whose_file_was_replaced_is_not_flagged_at_promotion(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    hospital(store, ecgs=1)
    shadow = ShapeScorer(threshold=0)
    enshadow(engine, shadow)
    score_all(shadow)
    store_ecg(store, "ecg/0.hea", heartbeats(5), comments=("<subject_id>: 0",))
    score_all(shadow)
    assert promote(engine, shadow) == 6


def test_a_shadow_that_is_rejected_while_it_scores_raises_no_flag(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    hospital(store)
    shadow = ShapeScorer(threshold=0)
    enshadow(engine, shadow)
    scoring.index(engine, store, settings)
    with scoring.open_run(engine, store, settings, shadow) as run:
        run.score(limit=2)
        with engine.begin() as connection:
            registry.reject(connection, shadow.model_version, by="ada", why="odd")
        run.score()
    assert run.summary().counts() == {"indexed": 4, "scored": 4, "quarantined": 0, "pending": 0}
    assert raised(engine, "shape-1") == []


def test_a_shadow_promoted_while_it_scores_leaves_no_ecg_without_its_flags(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    hospital(store)
    shadow = ShapeScorer(threshold=0)
    enshadow(engine, shadow)
    scoring.index(engine, store, settings)
    with scoring.open_run(engine, store, settings, shadow) as run:
        run.score(limit=1)
        with engine.begin() as connection:
            registry.promote(connection, shadow.model_version, by="ada", why="better")
            # This batch sees the shadow still; it must wait to learn what has become of it.
            batch = threading.Thread(target=run.score, kwargs={"limit": 1})
            batch.start()
            until_waiting(engine, 1)
        batch.join(30)
        run.score()
    assert len(raised(engine, "shape-1")) == 4 * 6


def test_a_promotion_waits_for_the_batch_that_is_being_written(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    """Else neither would see the other, and nobody would raise the flags of the batch."""
    hospital(store)
    shadow = ShapeScorer(threshold=0)
    enshadow(engine, shadow)
    scoring.index(engine, store, settings)
    promotion = threading.Thread(target=promote, args=(engine, shadow))
    with scoring.open_run(engine, store, settings, shadow) as run:
        batch = threading.Thread(target=run.score)
        with engine.begin() as connection:
            # Where the batch goes next once it has decided about flags.
            connection.execute(text("LOCK TABLE quarantine IN SHARE MODE"))
            batch.start()
            until_waiting(engine, 1)
            promotion.start()
            until_waiting(engine, 2)
        batch.join(30)
        promotion.join(30)
    assert len(raised(engine, "shape-1")) == 4 * 6
