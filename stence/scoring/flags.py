"""What a person found out about a flag."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, update

from stence.database.tables import flags
from stence.errors import StenceError


class FlagError(StenceError):
    """The flag cannot be reviewed."""


def review(connection: Connection, flag_id: int, *, outcome: str, by: str, note: str | None = None) -> None:
    """Record who judged a flag, when, and with what outcome (reviewed, dismissed or confirmed).

    Raises FlagError for an unknown flag, and for one that was withdrawn.
    """
    statement = (
        update(flags)
        .where(flags.c.id == flag_id, flags.c.state != "withdrawn")
        .values(state=outcome, reviewed_by=by, reviewed_at=func.now(), note=note)
    )
    if connection.execute(statement).rowcount:
        return
    why = connection.scalar(select(flags.c.note).where(flags.c.id == flag_id))
    if why is None:
        raise FlagError(f"there is no flag {flag_id}; stence query flagged_patients shows them")
    raise FlagError(f"flag {flag_id} was withdrawn: {why}")
