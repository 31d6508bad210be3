"""A scoring run: one model version, fixed from start to end, and its row in ``runs``."""

from __future__ import annotations

import logging
import platform
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from stence import __version__
from stence.database import queries
from stence.database.leases import close_dead, lease_end
from stence.database.outage import transact
from stence.database.tables import flags, models, monitoring_metrics, quarantine, runs, scores
from stence.database.words import told
from stence.discretion import plain
from stence.domain.merged_patients import Patients
from stence.errors import StenceError
from stence.ingest.patients import load_merged
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.scoring.batches import Batches
from stence.scoring.pipeline import Pipeline
from stence.scoring.scorer import Scorer
from stence.scoring.stage_timer import StageTimer
from stence.scoring.summary import RunSummary
from stence.scoring.work import Worklist
from stence.scoring.workload import Portion
from stence.scoring.writing import Writer
from stence.settings import Settings

log = logging.getLogger(__name__)

LEFT = ("retired", "rejected")
"""States of a model that has nothing to score for."""


class Run:
    """A scoring run in progress. Any number of runs on any number of machines may share a worklist."""

    def __init__(
        self,
        engine: Engine,
        store: ObjectStore,
        settings: Settings,
        scorer: Scorer,
        patients: Patients,
        portion: Portion = "all",
    ) -> None:
        self.id = uuid.uuid4()
        self._engine = engine
        self._settings = settings
        self._scorer = scorer
        self._start = time.monotonic()
        self._timer = StageTimer()
        self._worklist = Worklist(engine, settings, scorer.model_version, self.id, portion)
        writer = Writer(engine, settings, scorer, self.id)
        open_batches = partial(Batches, store, settings, scorer, patients, self._timer)
        self._pipeline = Pipeline(settings, scorer, self._worklist, writer, self._timer, open_batches)

    def score(self, limit: int | None = None, progress: Progress = silent) -> int:
        """Score up to ``limit`` ECGs (default: all), and return the number of finished ECGs.

        0 means that none are left, or that the model has retired or was rejected since the run began. The
        method may be called again after a failure.
        """
        if transact(self._engine, self._settings.outage_seconds, self._has_left):
            log.warning("the model has retired or was rejected since the run began: the run ends early")
            return 0
        # Leases of an earlier call that failed, or of a claim whose answer was lost.
        self._worklist.release()
        return self._pipeline.run(limit or sys.maxsize, progress)

    def close(self) -> None:
        """Leave the child processes to the next run."""
        self._pipeline.close()

    def kept_alive(self) -> AbstractContextManager[None]:
        """Renew the leases of the run within the context."""
        return self._worklist.kept_alive()

    def begin(self) -> None:
        """Record the run, close the runs of dead processes, and update the model's worklist."""
        row = {
            "id": self.id,
            "state": "running",
            "model_version": self._scorer.model_version,
            "preprocessing_version": self._scorer.preprocessing_version,
            "gate_version": self._settings.quality.version,
            "code_version": __version__,
            "device": self._scorer.device,
            "form": self._scorer.form,
            "host": platform.node(),
            "lease_expires_at": lease_end(self._settings.lease_seconds),
        }
        transact(self._engine, self._settings.outage_seconds, self._record_begin, row)
        waiting = self._worklist.enqueue()
        log.info("run %s of %s: %d ECGs are new to it", self.id, plain(self._scorer.model_version), waiting)

    def end(self, state: str, error: BaseException | None = None) -> None:
        """Release unfinished ECGs, and record the end state of the run."""
        self._worklist.release()
        summary = self.summary()
        values = {
            "state": state,
            "finished_at": func.clock_timestamp(),
            "lease_expires_at": None,
            "error": _words(error) if error else None,
            **summary.counts(),
            "scored_by_run": summary.scored_by_run,
            "quarantined_by_run": summary.quarantined_by_run,
        }
        transact(self._engine, self._settings.outage_seconds, self._record_end, values, summary)

    def _has_left(self, connection: Connection) -> bool:
        state = select(models.c.state).where(models.c.version == self._scorer.model_version)
        return connection.scalar(state) in LEFT

    @staticmethod
    def _record_begin(connection: Connection, row: dict[str, Any]) -> None:
        close_dead(connection, runs)
        connection.execute(insert(runs).values(row).on_conflict_do_nothing())
        connection.execute(queries.statement("add_up_tally"))

    def _record_end(self, connection: Connection, values: dict[str, Any], summary: RunSummary) -> None:
        ended = update(runs).where(runs.c.id == self.id).values(values)
        window = ended.returning(
            runs.c.started_at.label("window_start"), runs.c.finished_at.label("window_end")
        )
        about = {"run_id": self.id, "model_version": self._scorer.model_version}
        about |= connection.execute(window).mappings().one()
        connection.execute(queries.statement("add_up_tally"))
        connection.execute(delete(monitoring_metrics).filter_by(run_id=self.id))  # of an earlier attempt
        connection.execute(insert(monitoring_metrics).values([about | m for m in summary.metrics()]))

    def summary(self) -> RunSummary:
        """Return the present counts in the database."""
        return transact(self._engine, self._settings.outage_seconds, self._summary)

    def _summary(self, connection: Connection) -> RunSummary:
        who = {"model_version": self._scorer.model_version, "run_id": self.id}
        counts = connection.execute(queries.statement("count_worklist"), who).mappings().one()
        refusals = select(quarantine.c.reason, func.count()).filter_by(run_id=self.id).group_by("reason")
        flagged = (
            select(flags.c.target, func.count())
            .join(scores, (scores.c.content_hash == flags.c.content_hash))
            .where(scores.c.run_id == self.id, flags.c.model_version == self._scorer.model_version)
            .group_by(flags.c.target)
            .order_by(flags.c.target)
        )
        return RunSummary(
            run_ids=(self.id,),
            model_version=self._scorer.model_version,
            form=self._scorer.form,
            **counts,
            refusals=dict(tuple(row) for row in connection.execute(refusals.order_by("reason"))),
            flagged=dict(tuple(row) for row in connection.execute(flagged)),
            seconds=time.monotonic() - self._start,
            seconds_by_stage=self._timer.seconds(),
        )


@contextmanager
def open_run(
    engine: Engine, store: ObjectStore, settings: Settings, scorer: Scorer, portion: Portion = "all"
) -> Iterator[Run]:
    """Begin a run over a portion of the model's worklist.

    Record the end of the block: finished, interrupted (person or signal), or failed.
    """
    patients = transact(engine, settings.outage_seconds, load_merged)
    run = Run(engine, store, settings, scorer, patients, portion)
    run.begin()
    with run.kept_alive(), closing(run):
        try:
            yield run
        except BaseException as error:
            stopped = was_stopped(error)
            try:
                run.end("interrupted" if stopped else "failed", None if stopped else error)
            except StenceError as second:
                log.warning(
                    "run %s could not be closed; its leases run out by themselves. %s", run.id, second
                )
            raise
        run.end("finished")


def was_stopped(error: BaseException) -> bool:
    """Return True if a signal is behind an error; it may have come amid the handling of another error."""
    behind: BaseException | None = error
    while isinstance(behind, Exception):
        behind = behind.__context__
    return behind is not None


def _words(error: BaseException) -> str:
    kind, words = type(error).__name__, told(error)
    return words if words.startswith(kind) else f"{kind}: {words}"
