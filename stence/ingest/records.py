"""What all manifests together say of each ECG file, and what follows where that changes."""

from __future__ import annotations

from sqlalchemy import Connection

from stence.database import queries

STEPS = (
    "records_01_changed",
    "records_02_withdraw",
    "records_03_take_up",
    "records_04_reopen",
    "records_05_withdraw_flags",
    "records_06_timezones",
)
"""Statements of ``sql/statements`` that bring ``manifest_records`` up to date, in this order."""


def update_records(connection: Connection) -> None:
    """Work out the records in ``touched_records`` anew, as part of a transaction.

    ECGs of which the manifests now say something else become pending, and their unreviewed flags are
    withdrawn where that is their patient.
    """
    for step in STEPS:
        connection.execute(queries.statement(step))
