"""kill -9 at any moment loses nothing and doubles nothing."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from stence import scoring
from stence.database.tables import objects, quarantine, scores, worklist
from stence.objects import open_store
from stence.settings import Settings
from support.database import forget_ecgs, tampering
from support.ecgs import heartbeats, manifest, store_ecg
from support.models import ShapeScorer, register
from support.processes import start_scorer

pytestmark = pytest.mark.slow

ECGS = 2000
KILLS = 20
SECONDS_PER_BATCH = 1.0


def write_archive(settings: Settings) -> None:
    """2,000 ECGs; every 50th is too short, every 80th names no patient, every 100th is sent twice."""
    store = open_store(settings.resolved_store_url, settings)
    rows = []
    for number in range(ECGS):
        source = number - 1 if number % 100 == 99 else number
        signal = heartbeats(source, seconds=2 if number % 50 == 0 else 10)
        store_ecg(store, f"ecg/{number:05d}.hea", signal)
        if number % 80:
            rows.append((f"p{source}", "2026-03-01 08:30:00", f"{number:05d}"))
    store.put("ecg/record_list.csv", manifest(rows))


def outcome(engine: Engine) -> tuple[list[Any], list[Any]]:
    """Every score by content, and every open quarantine row by key."""
    columns = [c for c in scores.c if c.name not in {"run_id", "scored_at"}]
    refused = select(objects.c.key, quarantine.c.reason, quarantine.c.detail).join(quarantine)
    with engine.connect() as connection:
        return (
            connection.execute(select(*columns).order_by(scores.c.content_hash)).all(),
            connection.execute(refused.where(quarantine.c.state == "open").order_by(objects.c.key)).all(),
        )


def score_in_peace(engine: Engine, settings: Settings) -> scoring.RunSummary:
    store = open_store(settings.resolved_store_url, settings)
    register(engine, ShapeScorer())
    scoring.index(engine, store, settings)
    with scoring.open_run(engine, store, settings, ShapeScorer()) as run:
        while run.score(limit=settings.shard_size):
            pass
    return run.summary()


def test_twenty_kills_of_two_scorers_change_nothing(engine: Engine, settings: Settings) -> None:
    hasty = settings.model_copy(update={"batch_size": 8, "lease_seconds": 3, "prefetch_batches": 1})
    write_archive(settings)
    undisturbed = score_in_peace(engine, settings)
    expected = outcome(engine)
    with tampering(engine) as connection:
        forget_ecgs(connection)

    chance = random.Random(20)
    scorers = [start_scorer(hasty, SECONDS_PER_BATCH) for _ in range(2)]
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.0, 0.6))
        victim = scorers.pop(0)
        assert victim.is_alive(), "the scorer ended before it could be killed: the test proves nothing"
        victim.kill()
        victim.join()
        scorers.append(start_scorer(hasty, SECONDS_PER_BATCH))
    with engine.connect() as connection:
        states = select(worklist.c.state, func.count()).group_by(worklist.c.state)
        half_way = dict(tuple(row) for row in connection.execute(states))
    for scorer in scorers:
        scorer.kill()
        scorer.join()
    assert half_way.get("scored", 0) > 0, "nothing was scored between the kills"
    assert half_way.get("pending", 0) + half_way.get("leased", 0) > 0, "nothing was left to be disturbed"

    summary = score_in_peace(engine, settings)

    assert summary.counts() == undisturbed.counts()
    assert summary.pending == 0
    assert outcome(engine) == expected
