"""Patients of tests: their pseudonyms by a fixed key, which ``conftest`` sets, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Engine, select, text

from stence.database.tables import patients
from stence.domain import splits
from stence.domain.pseudonyms import Pseudonyms
from stence.domain.splits import Split

KEY = "key of the tests"
PSEUDONYMS = Pseudonyms.by(KEY)
pseudonym = PSEUDONYMS.of


def numbers(engine: Engine) -> dict[str, str]:
    """Number of every pseudonym, from the map, past the functions that record it."""
    with engine.connect() as connection:
        connection.execute(text("SET LOCAL ROLE NONE"))
        return dict(connection.execute(select(patients.c.patient_id, patients.c.number)).tuples().all())


def by_number(engine: Engine, rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """The rows with numbers in the place of pseudonyms, so that tests can be read."""
    known = numbers(engine)
    return [tuple(known.get(cell, cell) if isinstance(cell, str) else cell for cell in row) for row in rows]


def split_of(number: str) -> Split:
    """The split of the patient with this number, where none was decided."""
    return splits.split_of(pseudonym(number))
