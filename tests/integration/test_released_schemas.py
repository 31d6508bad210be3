"""A database of every released schema is brought up with its rows, and answers as a new one does."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine

from stence import database
from stence.database import migrate, queries
from support import schemas
from support.schema import CATALOGS, rows

REVISIONS = sorted(migrate.revisions())
RELEASED = REVISIONS[:-1]
"""The newest may still change; each earlier one may be the schema of some hospital."""
KEPT = ("objects", "ecgs", "scores", "model_events", "quarantine", "models")
"""Tables whose rows no migration adds or removes."""


def count(engine: Engine) -> dict[str, int]:
    return {name: rows(engine, f"SELECT count(*) FROM {name}").pop()[0] for name in KEPT}  # noqa: S608


@pytest.fixture
def old(postgres: Engine) -> Iterator[Engine]:
    """An empty database."""
    name = f"old_{uuid.uuid4().hex}"
    database.create_database(postgres, name)
    engine = create_engine(postgres.url.set(database=name))
    yield engine
    engine.dispose()


def test_there_is_a_dump_of_every_released_schema() -> None:
    missing = sorted(set(RELEASED) - schemas.dumps().keys())
    assert not missing, f"make a dump of {', '.join(missing)}: python -m support.schemas at that revision"


@pytest.mark.slow
@pytest.mark.parametrize("revision", sorted(schemas.dumps()))
def test_a_database_of_a_released_schema_is_brought_up(revision: str, old: Engine, engine: Engine) -> None:
    schemas.restore(old, schemas.dumps()[revision])
    assert migrate.current_revision(old) == revision
    before = count(old)
    assert all(before.values())
    migrate.upgrade(old)
    assert migrate.current_revision(old) == REVISIONS[-1]
    assert count(old) == before
    for catalog in CATALOGS.values():
        assert rows(old, catalog) == rows(engine, catalog)
    with old.connect() as connection:
        assert queries.run(connection, "flagged_patients", {"limit": "5"})[1]
