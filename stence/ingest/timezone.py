"""Move times that were read without a zone when ``settings.timezone`` changes."""

from __future__ import annotations

import logging

from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects.postgresql import insert

from stence.database import queries
from stence.database.outage import transact
from stence.database.tables import installation
from stence.discretion import plain
from stence.settings import Settings

log = logging.getLogger(__name__)

NAME = "timezone"
STEPS = (
    "move_times_manifest_rows",
    "move_times_manifest_records",
    "move_times_angiograms",
    "move_times_ecgs",
)


def move_times(engine: Engine, settings: Settings) -> int:
    """Move times that were read in another time zone to the setting's zone. Return the number of moved ECGs.

    The local clock time stays the same. Raises DatabaseUnavailableError.
    """
    moved, before = transact(engine, settings.outage_seconds, _move_from_before, settings.timezone)
    if before not in (None, settings.timezone):
        said = "STENCE_TIMEZONE is %s now, and was %s: the times of %d ECGs were moved"
        log.warning(said, plain(settings.timezone), plain(before), moved)
    return moved


def _move_from_before(connection: Connection, timezone: str) -> tuple[int, str | None]:
    """Move the times. Return the number of moved ECGs, and the time zone recorded before."""
    before = connection.scalar(select(installation.c.value).filter_by(name=NAME).with_for_update())
    return _move(connection, before, timezone), before


def _move(connection: Connection, before: str | None, zone: str) -> int:
    if before == zone:
        return 0
    insertion = insert(installation).values(name=NAME, value=zone)
    connection.execute(insertion.on_conflict_do_update(index_elements=["name"], set_={"value": zone}))
    moved = 0
    for step in STEPS:
        moved = connection.execute(queries.statement(step), {"zone": zone}).rowcount
    return moved
