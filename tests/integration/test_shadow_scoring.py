"""Models in shadow score without raising flags, until they are promoted."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from sqlalchemy import Engine, cast, select, text, update
from sqlalchemy.dialects.postgresql import JSONB

from stence import registry, scoring
from stence.database.tables import flags, models, scores
from stence.models import TARGET_NAMES
from stence.objects import ObjectStore
from stence.settings import Settings
from support.database import tampering
from support.ecgs import heartbeats, store_ecg
from support.models import ShapeScorer, promote, register
from support.scoring import ScoreAll, all_rows


def enshadow(engine: Engine, scorer: ShapeScorer) -> None:
    register(engine, scorer, "candidate")
    with engine.begin() as connection:
        registry.shadow(connection, scorer.model_version, by="gate", why="passed")


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
        store_ecg(store, f"ecg/{number}.hea", heartbeats(number), comments=(f"<subject_id>: P{number}",))


def test_a_shadow_scores_without_flags_and_promotion_raises_those_it_would_have_raised(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    hospital(store)
    champion, shadow = ShapeScorer("shape-1", threshold=0.6), ShapeScorer("shape-2", threshold=0.6)
    score_all(champion)
    enshadow(engine, shadow)
    summary = score_all(shadow)
    assert (summary.scored, summary.flagged) == (4, {})
    assert raised(engine, "shape-2") == []

    expected = raised(engine, "shape-1")
    assert 0 < len(expected) < 4
    assert promote(engine, shadow) == ("shape-2", len(expected), len(expected))
    assert raised(engine, "shape-2") == expected
    store_ecg(store, "ecg/new.hea", heartbeats(9), comments=("<subject_id>: 9",))
    score_all(shadow)
    assert len(raised(engine, "shape-2")) > len(expected)


@pytest.mark.parametrize("in_shadow", [False, True])
def test_a_probability_that_just_reaches_the_threshold_is_flagged(
    engine: Engine, store: ObjectStore, score_all: ScoreAll, in_shadow: bool
) -> None:
    hospital(store, ecgs=1)
    score_all(ShapeScorer("shape-1", threshold=1.1))
    [(probability,)] = all_rows(engine, scores.c.stenosis_70)
    exact = ShapeScorer("shape-2", threshold=probability)
    if in_shadow:
        enshadow(engine, exact)
        score_all(exact)
    promote(engine, exact)
    score_all(exact)
    assert ("stenosis_70", probability) in all_rows(engine, flags.c.target, flags.c.threshold)


@pytest.mark.parametrize("decisive", [None, "lca_70"])
def test_promotion_raises_the_flags_of_the_decisive_target_alone(
    engine: Engine, store: ObjectStore, score_all: ScoreAll, decisive: str | None
) -> None:
    """That of the manifest, or the usual one of a manifest that names none."""
    hospital(store, ecgs=2)
    shadow = ShapeScorer(threshold=0)
    enshadow(engine, shadow)
    score_all(shadow)
    manifest: dict[str, Any] = {"thresholds": {name: {"value": 0, "rule": "r"} for name in TARGET_NAMES}}
    manifest |= {"decisive": decisive} if decisive else {}
    with tampering(engine) as connection:
        kept = models.c.manifest.op("||")(cast(manifest, JSONB))
        connection.execute(update(models).values(manifest=kept))
    assert promote(engine, shadow).opened == 2
    assert {row[1] for row in raised(engine, "shape-1")} == {decisive or "stenosis_70"}


def test_an_ecg_whose_file_was_replaced_is_not_flagged_at_promotion(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    hospital(store, ecgs=1)
    shadow = ShapeScorer(threshold=0)
    enshadow(engine, shadow)
    score_all(shadow)
    store_ecg(store, "ecg/0.hea", heartbeats(5), comments=("<subject_id>: 7",))
    score_all(shadow)
    assert promote(engine, shadow).opened == 1


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
    assert run.summary().counts() == {"indexed": 4, "scored": 2, "quarantined": 0, "pending": 2}
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
    assert len(raised(engine, "shape-1")) == 4


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
    assert len(raised(engine, "shape-1")) == 4
