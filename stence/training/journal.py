"""The book of training runs: one row each in ``training_runs``, from its start to its end.

One retraining at a time in a database. The row that is ``running`` holds the place, under a lease that its
process renews: a process that is gone or cut off loses it, and finds that out before it writes anything more.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Update, func, select, update
from sqlalchemy.dialects.postgresql import insert

from stence.database.leases import close_dead, kept_alive, lease_end
from stence.database.outage import patiently
from stence.database.tables import training_runs
from stence.errors import LeaseLostError, StenceError
from stence.progress import Progress
from stence.settings import Settings

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 0.5


class Holder(NamedTuple):
    """Whose the place is, and until when."""

    run_id: uuid.UUID
    lease_expires_at: datetime | None


class Journal:
    """The row of one training run."""

    def __init__(self, engine: Engine, run_id: uuid.UUID, settings: Settings) -> None:
        self.run_id = run_id
        self._engine, self._outage_seconds = engine, settings.outage_seconds
        self._lease_seconds = settings.lease_seconds
        self._is_lost = threading.Event()

    def renew(self) -> None:
        """Renew the lease, or find out that it is lost."""
        with self._engine.begin() as connection:
            renewed = self._update.values(lease_expires_at=lease_end(self._lease_seconds))
            if not connection.execute(renewed.where(training_runs.c.state == "running")).rowcount:
                self._is_lost.set()

    def check(self) -> None:
        """Raise LeaseLostError where another retraining has taken this one's place."""
        if self._is_lost.is_set():
            raise LeaseLostError(
                "This retraining was taken for dead, because its lease could not be renewed in time, and its "
                "row was closed. It ends; the next one goes on where it was (stence query training_runs)."
            )

    def checked(self, progress: Progress) -> Progress:
        """``progress``, which ends a retraining that has lost its lease."""

        def told(stage: str, done: int, total: int | None = None, note: str = "") -> None:
            self.check()
            progress(stage, done, total, note)

        return told

    def note(self, **columns: Any) -> None:
        """Write columns of the row."""

        def write() -> None:
            with self._engine.begin() as connection:
                self.note_in(connection, **columns)

        patiently(write, self._outage_seconds)

    def note_in(self, connection: Connection, **columns: Any) -> None:
        """Write columns of the row as part of a transaction.

        Raises LeaseLostError where another retraining has closed the row.
        """
        if "state" in columns:
            columns["lease_expires_at"] = None
        # Also where it has ended this way: it was committed already, before its connection broke.
        still_ours = training_runs.c.state.in_({"running", columns.get("state", "running")})
        if not connection.execute(self._update.where(still_ours).values(columns)).rowcount:
            self._is_lost.set()
            self.check()

    def has_finished(self, connection: Connection) -> bool:
        """Whether it is written that the run came to its end, with a model."""
        state = select(training_runs.c.state).where(training_runs.c.id == self.run_id)
        return connection.scalar(state) == "finished"

    def end(self, state: str, error: str) -> None:
        """End the run this way, unless its end is written: what fails after that changes nothing about it."""

        def write() -> None:
            with self._engine.begin() as connection:
                ended = self._update.values(
                    state=state, error=error, finished_at=func.now(), lease_expires_at=None
                )
                connection.execute(ended.where(training_runs.c.state == "running"))

        patiently(write, self._outage_seconds)

    @property
    def _update(self) -> Update:
        return update(training_runs).where(training_runs.c.id == self.run_id)


@contextmanager
def entered(engine: Engine, preset: str, config: Mapping[str, Any], settings: Settings) -> Iterator[Journal]:
    """Begin a run's row, and end it as failed or interrupted where the block raises; its other ends are for
    the block to write.

    The row of a retraining whose lease ran out is closed first, and a lease that runs is waited for, in case
    its process is dead. Raises StenceError where that is alive.
    """
    journal = Journal(engine, uuid.uuid4(), settings)
    row = {"id": journal.run_id, "preset": preset, "state": "running", "config": config}
    _take_place(engine, row, settings)
    with kept_alive(journal.renew, settings.lease_seconds, "this retraining"):
        try:
            yield journal
        except BaseException as error:
            state = "failed" if isinstance(error, Exception) else "interrupted"
            journal.end(state, str(error) or type(error).__name__)
            raise


def _take_place(engine: Engine, row: Mapping[str, Any], settings: Settings) -> None:
    """Insert the row. Where another holds the place, wait until its lease runs out or is renewed."""
    take = partial(_try_to_take, engine, row, settings.lease_seconds)
    first: Holder | None = None
    while holder := patiently(take, settings.outage_seconds):
        if first not in {None, holder}:
            raise StenceError(
                "A retraining is at work already: wait for its end (stence query training_runs)."
            )
        if first is None:
            log.warning("a retraining holds a lease: waiting to see whether it is alive")
        first = holder
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _try_to_take(engine: Engine, row: Mapping[str, Any], lease_seconds: float) -> Holder | None:
    """Insert the row where nobody is running; who is, otherwise."""
    running = select(training_runs.c.id, training_runs.c.lease_expires_at).filter_by(state="running")
    values = {**row, "lease_expires_at": lease_end(lease_seconds)}
    found = None
    while found is None:  # who was running may end between the two statements
        with engine.begin() as connection:
            close_dead(connection, training_runs)
            connection.execute(insert(training_runs).values(values).on_conflict_do_nothing())
            found = connection.execute(running).first()
    return None if found.id == row["id"] else Holder(*found)
