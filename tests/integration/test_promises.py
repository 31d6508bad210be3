"""Promises of the README that no other test is named after; tests/README.md lists the tests of each."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine, select, text

from stence import registry, scoring
from stence.database import queries
from stence.database.tables import flags, runs
from stence.monitoring.report import write_report
from stence.objects import ObjectStore
from stence.progress import silent
from stence.settings import Settings
from support.champion import crown
from support.ecgs import heartbeats, store_ecg
from support.models import ShapeScorer
from support.pseudonyms import pseudonym
from support.scoring import give_patients, run_scorer

ECGS = 24


class WatchedScorer(ShapeScorer):
    """Calls ``look`` before each batch."""

    def __init__(self, look: Callable[[], None]) -> None:
        super().__init__()
        self._look = look

    def score(self, ecgs: NDArray[np.float32]) -> NDArray[np.float64]:
        """As ShapeScorer."""
        self._look()
        return super().score(ecgs)


def write_ecgs(store: ObjectStore, count: int) -> None:
    """ECGs with a manifest; every sixth is too short."""
    for number in range(count):
        store_ecg(store, f"ecg/{number}.hea", heartbeats(number, seconds=10 if number % 6 else 2))
    give_patients(store, *((f"p{number}", f"{number}") for number in range(count)))


def test_counts_add_up_at_every_moment_of_a_run(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    moments: list[dict[str, int]] = []

    def look() -> None:
        with engine.connect() as connection:
            [row] = connection.execute(text("SELECT * FROM worklist_counts")).mappings()
        moments.append({name: row[name] for name in ("indexed", "scored", "quarantined", "pending")})

    write_ecgs(store, ECGS)
    hasty = settings.model_copy(update={"batch_size": 4, "prefetch_batches": 1})
    run_scorer(engine, store, hasty, WatchedScorer(look))
    look()
    for moment in moments:
        assert moment["indexed"] == ECGS == moment["scored"] + moment["quarantined"] + moment["pending"]
    assert len({moment["pending"] for moment in moments}) > 2, "looked at the ends only"
    assert moments[-1] == {"indexed": ECGS, "scored": 20, "quarantined": 4, "pending": 0}


def test_a_flag_is_traced_to_its_file_the_sha256_of_its_model_its_rule_and_its_run(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    write_ecgs(store, 2)
    folder = crown(engine, store, settings, "model-7", threshold=0)
    scoring.index(engine, store, settings)
    with scoring.open_run(engine, store, settings, registry.load_champion(engine, store, settings)) as run:
        run.score()
    with engine.connect() as connection:
        flag = connection.scalar(select(flags.c.id).where(flags.c.target == "stenosis_70"))
        columns, [row] = queries.run(connection, "trace_flag", {"flag": str(flag)})
        run_id = connection.scalar(select(runs.c.id))
    traced = dict(zip(columns, row, strict=True))
    assert traced["object_key"] == "ecg/1.hea"
    assert traced["patient_id"] == pseudonym("p1")
    assert traced["run_id"] == run_id
    assert (traced["threshold"], traced["rule"]) == (0, "chosen by the test")
    assert (traced["model_version"], traced["model_folder"]) == ("model-7", folder)
    manifest = store.get(f"{folder}manifest.json")
    assert traced["model_sha256"] == hashlib.sha256(manifest).hexdigest()
    weights = hashlib.sha256(store.get(f"{folder}model.safetensors")).hexdigest()
    assert weights.encode() in manifest


def test_no_internet_is_needed_to_index_score_and_report(
    engine: Engine, store: ObjectStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every address that Python is asked to reach is refused, but for sockets of this machine."""

    def refuse(*arguments: Any, **named: Any) -> None:
        raise AssertionError("something outside was asked for")

    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in {"127.0.0.1", "::1"}:
            refuse()
        connect(self, address)

    write_ecgs(store, 2)
    crown(engine, store, settings)
    monkeypatch.setattr(socket.socket, "connect", connect_here)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(AssertionError, match="outside"):
        socket.create_connection(("example.org", 80), timeout=1)
    scoring.index(engine, store, settings)
    with scoring.open_run(engine, store, settings, registry.load_champion(engine, store, settings)) as run:
        run.score()
    assert run.summary().counts() == {"indexed": 2, "scored": 1, "quarantined": 1, "pending": 0}
    assert write_report(engine, store, settings, silent, date(2026, 3, 2)).content
