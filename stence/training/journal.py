"""The book of training runs: one row each in ``training_runs``, from its start to its end."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Engine, Update, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from stence.database.outage import patiently
from stence.database.tables import training_runs
from stence.errors import StenceError

LOCK = "hashtext('stence retraining')"


class Journal:
    """The row of one training run."""

    def __init__(self, engine: Engine, run_id: uuid.UUID, outage_seconds: float) -> None:
        self.run_id = run_id
        self._engine, self._outage_seconds = engine, outage_seconds

    def note(self, **columns: Any) -> None:
        """Write columns of the row."""

        def write() -> None:
            with self._engine.begin() as connection:
                self.note_in(connection, **columns)

        patiently(write, self._outage_seconds)

    def note_in(self, connection: Connection, **columns: Any) -> None:
        """Write columns of the row as part of a transaction."""
        connection.execute(self._update.values(columns))

    def has_finished(self, connection: Connection) -> bool:
        """Whether it is written that the run came to its end, with a model."""
        state = select(training_runs.c.state).where(training_runs.c.id == self.run_id)
        return connection.scalar(state) == "finished"

    def end(self, state: str, error: str) -> None:
        """End the run this way, unless its end is written: what fails after that changes nothing about it."""

        def write() -> None:
            with self._engine.begin() as connection:
                ended = self._update.values(state=state, error=error, finished_at=func.now())
                connection.execute(ended.where(training_runs.c.state == "running"))

        patiently(write, self._outage_seconds)

    @property
    def _update(self) -> Update:
        return update(training_runs).where(training_runs.c.id == self.run_id)


@contextmanager
def entered(
    engine: Engine, preset: str, config: Mapping[str, Any], outage_seconds: float
) -> Iterator[Journal]:
    """Begin a run's row, and end it as failed or interrupted where the block raises; its other ends are for
    the block to write.

    One retraining at a time in a database; a row that a killed one left as running is closed first.
    Raises StenceError where another is at work.
    """
    with engine.connect() as connection:
        if not connection.scalar(text(f"SELECT pg_try_advisory_lock({LOCK})")):
            raise StenceError(
                "A retraining is at work already: wait for its end (stence query training_runs)."
            )
        connection.commit()
        journal = Journal(engine, uuid.uuid4(), outage_seconds)
        with engine.begin() as transaction:
            _close_killed(transaction)
            transaction.execute(
                insert(training_runs).values(id=journal.run_id, preset=preset, state="running", config=config)
            )
        try:
            yield journal
        except BaseException as error:
            state = "failed" if isinstance(error, Exception) else "interrupted"
            journal.end(state, str(error) or type(error).__name__)
            raise
        finally:
            with suppress(DBAPIError):
                connection.execute(text(f"SELECT pg_advisory_unlock({LOCK})"))


def _close_killed(connection: Connection) -> None:
    connection.execute(
        update(training_runs)
        .where(training_runs.c.state == "running")
        .values(state="interrupted", error="its process ended without a word", finished_at=func.now())
    )
