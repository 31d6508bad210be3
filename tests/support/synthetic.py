"""A database as it looks after months of scoring, made in SQL: any number of scores in seconds."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from support.tampering import tampering

SCRIPT = Path(__file__).with_suffix(".sql")


def load(engine: Engine, *, ecgs: int, patients: int) -> None:
    """Fill an empty, migrated database with so many scored ECGs and what belongs to them."""
    script = SCRIPT.read_text().replace(":ecgs", str(ecgs)).replace(":patients", str(patients))
    with tampering(engine) as connection:
        connection.exec_driver_sql(script, execution_options={"no_parameters": True})
