"""The book of training runs: one row each in ``training_runs``, from its start to its end."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, text, update
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
        connection.execute(update(training_runs).where(training_runs.c.id == self.run_id).values(columns))


@contextmanager
def entered(
    engine: Engine, preset: str, config: Mapping[str, Any], outage_seconds: float
) -> Iterator[Journal]:
    """Begin a run's row and end it: failed or interrupted where the block raises, finished where nobody
    wrote another end.

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
            journal.note(state=state, error=str(error) or type(error).__name__, finished_at=func.now())
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
