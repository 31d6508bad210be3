"""Put refused angiograms into quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from stence.angiography.reasons import Reason, UnusableAngiogramError, refuse
from stence.database import queries
from stence.database.copy import copy_rows
from stence.errors import (
    ObjectError,
    ObjectForbiddenError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    ObjectUnreadableError,
)


class Refusal(NamedTuple):
    """An angiogram that cannot be used: its content (etag), reason and detail."""

    object_id: int
    etag: str
    reason: str
    detail: str


STORE_ERRORS = (ObjectNotFoundError, ObjectForbiddenError, ObjectTooLargeError, ObjectUnreadableError)
"""Store errors that concern one object."""


def as_refused(error: UnusableAngiogramError | ObjectError) -> UnusableAngiogramError:
    """Convert a store error into a refusal; a refusal is returned unchanged."""
    match error:
        case UnusableAngiogramError():
            return error
        case ObjectNotFoundError():
            return refuse(Reason.OBJECT_MISSING, "it is not in the store")
        case ObjectForbiddenError():
            return refuse(Reason.OBJECT_FORBIDDEN, "it is closed to stence")
        case ObjectUnreadableError():
            return UnusableAngiogramError(Reason.OBJECT_UNREADABLE, str(error))
        case _:
            return refuse(Reason.OBJECT_TOO_LARGE, "it is larger than STENCE_MAX_ANGIOGRAM_BYTES")


def write(connection: Connection, refusals: Sequence[Refusal]) -> None:
    """Put angiograms into quarantine, as part of a transaction; skip those that have changed since."""
    connection.execute(queries.statement("stage_refused_angiograms"))
    copy_rows(connection, "staged_refused_angiograms", Refusal._fields, refusals)
    connection.execute(queries.statement("refuse_angiograms"))
