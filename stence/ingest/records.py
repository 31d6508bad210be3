"""Combined manifest record of each ECG file, and the updates that follow a change of the record."""

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
"""Statements of ``sql/statements`` that update ``manifest_records``, in this order."""


def update_records(connection: Connection) -> None:
    """Recompute the records in ``touched_records``, as part of a transaction.

    ECGs with a changed record become pending. If the patient changed, their unreviewed flags are withdrawn.
    """
    for step in STEPS:
        connection.execute(queries.statement(step))
