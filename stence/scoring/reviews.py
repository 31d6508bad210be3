"""What a person found out about a flagged ECG."""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from stence.database import queries
from stence.errors import StenceError

_REFUSED = {"22023", "P0002"}
"""SQLSTATEs with which the function ``review_ecg`` refuses; its message says why."""


class ReviewError(StenceError):
    """The ECG cannot be reviewed."""


def review(connection: Connection, ecg_id: int, *, outcome: str, by: str, note: str | None = None) -> int:
    """Record who judged an ECG, when, and with what outcome: confirmed or dismissed. Its flags follow.

    Returns the number of the review. Raises ReviewError for an unknown ECG, for one without a flag that still
    stands, and for another outcome.
    """
    values = {"ecg_id": ecg_id, "outcome": outcome, "reviewed_by": by, "note": note}
    try:
        return int(connection.execute(queries.statement("review"), values).scalar_one())
    except DBAPIError as error:
        diagnosis = getattr(error.orig, "diag", None)
        if diagnosis is None or diagnosis.sqlstate not in _REFUSED:
            raise
        raise ReviewError(diagnosis.message_primary) from error
