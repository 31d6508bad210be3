"""Reviews of flagged ECGs by a person."""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from stence.database import queries
from stence.errors import StenceError

_REFUSED = {"22023", "P0002"}
"""SQLSTATEs of the function ``review_ecg`` for a refusal. Its message gives the reason."""


class ReviewError(StenceError):
    """The ECG cannot be reviewed."""


def review(connection: Connection, ecg_id: int, *, outcome: str, by: str, note: str | None = None) -> int:
    """Record the review of an ECG by a person: confirmed or dismissed. Its flags get the same state.

    Returns the number of the review. Raises ReviewError for an unknown ECG, an ECG without a valid flag, and
    another outcome.
    """
    values = {"ecg_id": ecg_id, "outcome": outcome, "reviewed_by": by, "note": note}
    try:
        return int(connection.execute(queries.statement("review"), values).scalar_one())
    except DBAPIError as error:
        diagnosis = getattr(error.orig, "diag", None)
        if diagnosis is None or diagnosis.sqlstate not in _REFUSED:
            raise
        raise ReviewError(diagnosis.message_primary) from error
