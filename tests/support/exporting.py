"""Flags that wait to be sent to other systems, and changes of them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from stence.database.tables import flags
from support import synthetic
from support.tampering import tampering

FEW = 8
NUMBERED = "INSERT INTO identity.patients SELECT DISTINCT patient_id, 'MRN-' || patient_id FROM ecgs"


@pytest.fixture
def few(engine: Engine) -> list[int]:
    """The numbers of a few open flags of the champion; there is no other."""
    return open_flags(engine, FEW, ecgs=400)


def open_flags(engine: Engine, number: int, ecgs: int) -> list[int]:
    synthetic.load(engine, ecgs=ecgs, patients=ecgs // 4)
    with tampering(engine) as connection:
        connection.execute(text(NUMBERED))
        connection.execute(text("UPDATE flags SET state = 'dismissed'"))
        chosen = "UPDATE flags SET state = 'open' WHERE id IN (SELECT id FROM flags ORDER BY id LIMIT :n)"
        connection.execute(text(chosen), {"n": number})
        found = select(flags.c.id).where(flags.c.state == "open").order_by(flags.c.id)
        numbers = list(connection.scalars(found))
    assert len(numbers) == number
    return numbers


def change(engine: Engine, statement: str, **values: Any) -> None:
    with tampering(engine) as connection:
        connection.execute(text(statement), values)


def withdraw(engine: Engine, flag: int, reason: str = "by_person") -> None:
    change(
        engine, "UPDATE flags SET state = 'withdrawn', withdrawn_for = :why WHERE id = :f", why=reason, f=flag
    )
