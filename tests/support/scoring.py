"""Scores what lies in a store as the score flow does, and looks at what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from stence import scoring
from stence.database.tables import (
    objects,
    quarantine,
)
from stence.objects import ObjectStore
from stence.scoring import RunSummary
from stence.scoring.work import Claim, Worklist
from stence.settings import Settings
from support.ecgs import manifest
from support.models import ShapeScorer, register
from support.pseudonyms import by_number

ScoreAll = Callable[..., RunSummary]


@pytest.fixture
def score_all(engine: Engine, store: ObjectStore, settings: Settings) -> ScoreAll:
    """Index the store and score what is there, as the score flow does."""

    return lambda scorer=None: run_scorer(engine, store, settings, scorer or ShapeScorer())


@contextmanager
def unmounted_after_a_claim(root: Path) -> Iterator[None]:
    """Once ECGs are claimed, the local store in ``root`` is away; at the end it is back."""
    aside, claim = root.with_name("unmounted"), Worklist.claim

    def claim_and_unmount(self: Worklist, limit: int) -> list[Claim]:
        claims = claim(self, limit)
        if root.exists():
            root.rename(aside)
        return claims

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Worklist, "claim", claim_and_unmount)
        yield
    aside.rename(root)


def run_scorer(engine: Engine, store: ObjectStore, settings: Settings, scorer: ShapeScorer) -> RunSummary:
    """Index the store and score what is there."""
    register(engine, scorer)
    scoring.index(engine, store, settings)
    with scoring.open_run(engine, store, settings, scorer) as run:
        while run.score(limit=64):
            pass
    return run.summary()


def all_rows(engine: Engine, *columns: Any) -> list[tuple[Any, ...]]:
    """The rows, with patients by their numbers."""
    with engine.connect() as connection:
        return by_number(engine, connection.execute(select(*columns)))


def in_quarantine(engine: Engine) -> dict[str, str]:
    """Reason by key of every open row."""
    statement = (
        select(objects.c.key, quarantine.c.reason).join(quarantine).where(quarantine.c.state == "open")
    )
    with engine.connect() as connection:
        return dict(tuple(row) for row in connection.execute(statement))


def give_patients(store: ObjectStore, *rows: tuple[str, str]) -> None:
    store.put("ecg/record_list.csv", manifest([(p, "2026-03-01 08:30:00", path) for p, path in rows]))
