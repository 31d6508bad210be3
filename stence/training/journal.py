"""Journal of training runs: one row per run in ``training_runs``, from its start to its end.

Only one retraining runs at a time in a database. Its row has the state ``running`` and a lease, which its
process renews. A process that does not renew the lease loses it, and notices this before its next write.
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
from stence.database.outage import retry_outages, transact
from stence.database.tables import training_runs
from stence.database.words import told
from stence.errors import LeaseLostError, StenceError
from stence.progress import Progress
from stence.settings import Settings

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 0.5


class Holder(NamedTuple):
    """Holder of the lease: the run, and the end of its lease."""

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
        """Renew the lease, or note that it is lost."""
        with self._engine.begin() as connection:
            renewed = self._update.values(lease_expires_at=lease_end(self._lease_seconds))
            if not connection.execute(renewed.where(training_runs.c.state == "running")).rowcount:
                self._is_lost.set()

    def check(self) -> None:
        """Raise LeaseLostError if this retraining has lost its lease."""
        if self._is_lost.is_set():
            raise LeaseLostError(
                "This retraining was taken for dead, because its lease could not be renewed in time, and its "
                "row was closed. It ends; the next one resumes its work (stence query training_runs)."
            )

    def checked(self, progress: Progress) -> Progress:
        """Wrap ``progress`` so that it raises LeaseLostError after the lease is lost."""

        def told(stage: str, done: int, total: int | None = None, note: str = "") -> None:
            self.check()
            progress(stage, done, total, note)

        return told

    def note(self, **columns: Any) -> None:
        """Update columns of the row."""
        transact(self._engine, self._outage_seconds, self.note_in, **columns)

    def note_in(self, connection: Connection, /, **columns: Any) -> None:
        """Update columns of the row as part of a transaction.

        Raises LeaseLostError if another retraining has closed the row.
        """
        if "state" in columns:
            columns["lease_expires_at"] = None
        # A row that already has this end state is allowed: an earlier attempt committed before its
        # connection broke.
        still_ours = training_runs.c.state.in_({"running", columns.get("state", "running")})
        if not connection.execute(self._update.where(still_ours).values(columns)).rowcount:
            self._is_lost.set()
            self.check()

    def has_finished(self, connection: Connection) -> bool:
        """True if the row says that the run finished with a model."""
        state = select(training_runs.c.state).where(training_runs.c.id == self.run_id)
        return connection.scalar(state) == "finished"

    def end(self, state: str, error: str) -> None:
        """Write the run's end unless the row has one: a later failure does not change it."""
        values = {"state": state, "error": error, "finished_at": func.now(), "lease_expires_at": None}
        ended = self._update.where(training_runs.c.state == "running").values(values)
        transact(self._engine, self._outage_seconds, Connection.execute, ended)

    @property
    def _update(self) -> Update:
        return update(training_runs).where(training_runs.c.id == self.run_id)


@contextmanager
def entered(engine: Engine, preset: str, config: Mapping[str, Any], settings: Settings) -> Iterator[Journal]:
    """Insert a run's row, and end it as failed or interrupted if the block raises. The block writes every
    other end.

    Rows of retrainings with an expired lease are closed first. If another lease is valid, wait until it
    expires or is renewed. Raises StenceError if it is renewed: its process is alive.
    """
    journal = Journal(engine, uuid.uuid4(), settings)
    row = {"id": journal.run_id, "preset": preset, "state": "running", "config": config}
    _take_place(engine, row, settings)
    with kept_alive(journal.renew, settings.lease_seconds, "this retraining"):
        try:
            yield journal
        except BaseException as error:
            state = "failed" if isinstance(error, Exception) else "interrupted"
            journal.end(state, told(error))
            raise


def _take_place(engine: Engine, row: Mapping[str, Any], settings: Settings) -> None:
    """Insert the row. If another run holds the lease, wait until that lease expires or is renewed."""
    take = partial(_try_to_take, engine, row, settings.lease_seconds)
    first: Holder | None = None
    while holder := retry_outages(take, settings.outage_seconds):
        if first not in {None, holder}:
            raise StenceError(
                "A retraining is at work already: wait for its end (stence query training_runs)."
            )
        if first is None:
            log.warning("a retraining holds a lease: waiting to see whether it is alive")
        first = holder
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _try_to_take(engine: Engine, row: Mapping[str, Any], lease_seconds: float) -> Holder | None:
    """Insert the row if no run is running; otherwise return the holder of the lease."""
    running = select(training_runs.c.id, training_runs.c.lease_expires_at).filter_by(state="running")
    values = {**row, "lease_expires_at": lease_end(lease_seconds)}
    found = None
    while found is None:  # the running run may end between the two statements
        with engine.begin() as connection:
            close_dead(connection, training_runs)
            connection.execute(insert(training_runs).values(values).on_conflict_do_nothing())
            found = connection.execute(running).first()
    return None if found.id == row["id"] else Holder(*found)
