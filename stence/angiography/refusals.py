"""Angiograms on their way into quarantine."""

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
    """Why an angiogram cannot be used, in the content that was looked at."""

    object_id: int
    etag: str
    reason: str
    detail: str


STORE_ERRORS = (ObjectNotFoundError, ObjectForbiddenError, ObjectTooLargeError, ObjectUnreadableError)
"""Errors of the store that are about one object."""


def as_refused(error: UnusableAngiogramError | ObjectError) -> UnusableAngiogramError:
    """The reason behind an error of the store; a reason stays as it is."""
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
    """Put angiograms into quarantine, as part of a transaction, but for those that have changed since."""
    connection.execute(queries.statement("stage_refused_angiograms"))
    copy_rows(connection, "staged_refused_angiograms", Refusal._fields, refusals)
    connection.execute(queries.statement("refuse_angiograms"))
