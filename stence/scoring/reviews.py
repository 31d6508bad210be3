"""What people say of flagged ECGs and their patients: reviews, and snoozes."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from stence.database import queries
from stence.errors import StenceError

_REFUSED = {"22023", "P0002"}
"""SQLSTATEs of ``review_ecg`` and ``snooze_patient`` for a refusal. The message gives the reason."""


class ReviewError(StenceError):
    """The ECG cannot be reviewed, or its patient not be snoozed."""


def review(connection: Connection, ecg_id: int, *, outcome: str, by: str, note: str | None = None) -> int:
    """Record the review of an ECG by a person: confirmed or dismissed. Its flags get the same state.

    Returns the number of the review. Raises ReviewError for an unknown ECG, an ECG without a valid flag, and
    another outcome.
    """
    values = {"ecg_id": ecg_id, "outcome": outcome, "reviewed_by": by, "note": note}
    return _call(connection, "review", values)


def snooze(connection: Connection, ecg_id: int, *, until: date, by: str, why: str) -> int:
    """Take the patient of an ECG off the list up to and including the day ``until``.

    The newest snooze of a patient's ECGs holds, so a past day ends an earlier one. Returns its number. Raises
    ReviewError for an unknown ECG.
    """
    return _call(connection, "snooze", {"ecg_id": ecg_id, "until": until, "snoozed_by": by, "reason": why})


def _call(connection: Connection, statement: str, values: dict[str, Any]) -> int:
    try:
        return int(connection.execute(queries.statement(statement), values).scalar_one())
    except DBAPIError as error:
        diagnosis = getattr(error.orig, "diag", None)
        if diagnosis is None or diagnosis.sqlstate not in _REFUSED:
            raise
        raise ReviewError(diagnosis.message_primary) from error
