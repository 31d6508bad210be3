"""Practice never writes over a hospital: simulate and practice refuse whatever is not theirs."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from stence.database.tables import models
from stence.objects import ObjectStore
from stence.practice import MARK, claim_for_practice
from stence.settings import Settings
from support.identity import put_manifest
from support.models import ShapeScorer, register
from support.scoring import all_rows


def contents(store: ObjectStore) -> dict[str, bytes]:
    return {found.key: store.get(found.key) for found in store.list("")}


COMMANDS = [
    ("simulate", "--patients", "3", "--no-angiograms"),
    ("simulate", "--days", "1"),
    ("practice", "--patients", "3"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    "key", ["ecg/record_list.csv", "reports/cath.csv", "angio/1.dcm", "patients/m.csv", "models/x"]
)
def test_a_store_that_is_used_stays_as_it_is(
    engine: Engine, store: ObjectStore, stence: Any, command: tuple[str, ...], key: str
) -> None:
    store.put(key, b"the hospital's own")
    refused = stence(*command)
    assert refused.exit_code == 1
    assert "is not marked for practice" in refused.output
    assert key.partition("/")[0] in refused.output
    assert contents(store) == {key: b"the hospital's own"}
    assert all_rows(engine, models.c.version) == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_database_that_is_used_stays_as_it_is(
    engine: Engine, store: ObjectStore, stence: Any, command: tuple[str, ...]
) -> None:
    register(engine, ShapeScorer())
    refused = stence(*command)
    assert refused.exit_code == 1
    assert "The database holds ECGs or models" in refused.output
    assert contents(store) == {}
    assert all_rows(engine, models.c.version) == [("shape-1",)]


def test_an_empty_store_is_marked_and_may_be_simulated_into_again(store: ObjectStore, stence: Any) -> None:
    for _ in range(2):
        done = stence("simulate", "--patients", "3", "--no-angiograms")
        assert done.exit_code == 0, done.output
    assert "practice.txt" in contents(store)


@pytest.mark.slow
def test_what_is_marked_is_the_simulations_to_overwrite(
    engine: Engine, store: ObjectStore, settings: Settings, stence: Any
) -> None:
    claim_for_practice(engine, store, settings)
    put_manifest(store, ("P1", "1"))
    register(engine, ShapeScorer())
    assert stence("simulate", "--patients", "3", "--no-angiograms").exit_code == 0


def test_a_marked_store_does_not_excuse_a_database_that_is_used(
    engine: Engine, store: ObjectStore, stence: Any
) -> None:
    store.put(MARK, b"")
    register(engine, ShapeScorer())
    assert stence("simulate", "--patients", "3", "--no-angiograms").exit_code == 1
    assert set(contents(store)) == {MARK}
