"""A backup brings everything back on a new machine, and nothing that is not whole."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from stence import database, registry, scoring
from stence.backup import back_up, restore
from stence.database.tables import metadata
from stence.objects import ObjectStore, open_store
from stence.settings import Settings
from support.champion import crown
from support.database import url_of
from support.ecgs import heartbeats, store_ecg
from support.scoring import give_patients

ECGS = 3


@pytest.fixture
def hospital(engine: Engine, store: ObjectStore, settings: Settings) -> Settings:
    """A hospital whose ECGs were scored by a real model, but for one that is in quarantine."""
    for number in range(ECGS):
        store_ecg(store, f"ecg/{number}.hea", heartbeats(number))
    store.put("ecg/broken.hea", b"no header")
    give_patients(store, *((f"p{number}", f"{number}") for number in range(ECGS)))
    store.put("cards/tiny-1/card.md", b"# tiny-1")
    store.put("features/view.npy", b"features")
    crown(engine, store, settings)
    score(engine, store, settings)
    return settings


def score(engine: Engine, store: ObjectStore, settings: Settings) -> int:
    """Index and score; return the ECGs that were read."""
    scoring.index(engine, store, settings)
    with scoring.open_run(engine, store, settings, registry.load_champion(engine, store, settings)) as run:
        while run.score(limit=64):
            pass
    counts = run.summary()
    return counts.scored_by_run + counts.quarantined_by_run


@pytest.fixture
def elsewhere(postgres: Engine, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a new machine: an empty database, another data folder and another store."""
    name = f"restored_{uuid.uuid4().hex}"
    database.create_database(postgres, name)
    folder = tmp_path_factory.mktemp("elsewhere")
    return Settings(data_dir=folder, database_url=SecretStr(url_of(postgres, name)), device="cpu")


@pytest.fixture
def archive(hospital: Settings, engine: Engine, store: ObjectStore, tmp_path: Path) -> Path:
    return back_up(engine, store, hospital, tmp_path / "backup.zip").path


def copy_ecgs(source: Settings, target: Settings) -> None:
    """Copy the hospital's own files with their times, as ``rsync -a`` does."""
    shutil.copytree(source.data_dir / "store" / "ecg", target.data_dir / "store" / "ecg")


def restored(settings: Settings, archive: Path) -> Any:
    with database.connect_as_it_is(settings) as engine:
        return restore(engine, open_store(settings.resolved_store_url, settings), settings, archive)


def all_rows(settings: Settings) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    found = {}
    with database.connect(settings) as engine, engine.connect() as connection:
        for name in metadata.tables:
            rows = connection.scalars(text(f"SELECT CAST(t AS text) FROM {name} AS t ORDER BY 1"))  # noqa: S608
            found[name] = list(rows)
    return found


def objects_of(settings: Settings, *prefixes: str) -> dict[str, bytes]:
    store = open_store(settings.resolved_store_url, settings)
    return {item.key: store.get(item.key) for prefix in prefixes for item in store.list(prefix)}


def test_rows_and_model_files_are_equal_after_a_restore(
    hospital: Settings, archive: Path, elsewhere: Settings
) -> None:
    restored(elsewhere, archive)
    before = all_rows(hospital)
    assert before["scores"]
    assert all_rows(elsewhere) == before
    own = objects_of(hospital, "models/", "cards/")
    assert len(own) == 3
    assert objects_of(elsewhere, "") == own


def test_nothing_is_scored_again_after_a_restore(
    hospital: Settings, archive: Path, elsewhere: Settings
) -> None:
    copy_ecgs(hospital, elsewhere)
    assert restored(elsewhere, archive).copies == ECGS + 1
    store = open_store(elsewhere.resolved_store_url, elsewhere)
    with database.connect(elsewhere) as engine:
        assert score(engine, store, elsewhere) == 0
        store_ecg(store, "ecg/new.hea", heartbeats(99))
        assert score(engine, store, elsewhere) == 1
