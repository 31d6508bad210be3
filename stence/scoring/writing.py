"""Write a batch: scores, flags, quarantine and worklist, in one transaction."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from stence.database import queries
from stence.database.copy import copy_rows
from stence.database.datafaults import DATA_ERRORS, data_fault, is_data_error
from stence.database.outage import transact
from stence.discretion import plain
from stence.domain.opt_outs import OptOuts
from stence.domain.targets import TARGET_NAMES
from stence.ecg import Finding, Reason
from stence.ecg.fingerprint import TOLERANCE_UV
from stence.ingest.grouping import record_key
from stence.ingest.patients import load_opt_outs
from stence.models import UNLIKE_PERCENT
from stence.preparation.job import Measured, array_text
from stence.preparation.reading import OPTED_OUT_DETAIL, EcgFacts
from stence.scoring.scorer import Scorer
from stence.scoring.work import Claim
from stence.settings import Settings

log = logging.getLogger(__name__)

ECG_COLUMNS = EcgFacts._fields
WATCHED_COLUMNS = ("heart_rate", "r_mv", "s_mv", "noise_uv", "sketch")
SURE_COLUMNS = ("lower", "upper", "novelty", "unlike")
FINDING_COLUMNS = ("reason", "detail", "lead", "value")
COLUMNS = (
    "object_id",
    "attempt",
    "etag",
    "signals_known",
    *ECG_COLUMNS,
    *TARGET_NAMES,
    *WATCHED_COLUMNS,
    *SURE_COLUMNS,
    *FINDING_COLUMNS,
)

PARTS_STEPS = ("parts_01_replace", "parts_02_signals", "parts_03_settle", "parts_04_versions")
"""Statements of ``sql/statements`` that record the files of a batch's records, in this order."""
STEPS = (
    "write_03_dismissed",
    "write_03_moments",
    "write_03_same_ecg",
    "write_03_withdraw_replaced",
    "write_04_ecgs",
    "write_04_measurements",
    "write_05_objects",
    "write_06_find_conflicts",
    "write_07_scores",
    "write_07_embeddings",
    "write_08_flags",
    "write_08_move_flags",
    "write_08_return_flags",
    "write_09_quarantine",
    "write_10_void_conflicts",
    "write_10_void_unclear",
    "write_11_resolve",
    "write_11_settled",
    "write_12_done",
)
"""Statements of ``sql/statements`` that copy a staged batch to its tables, in this order."""


class Scored(NamedTuple):
    """A scored ECG: probabilities (6,), and the random projection (32,) of its embedding.

    ``lower`` and ``upper`` (6,) are the ends of the probabilities' intervals, ``novelty`` is a percentage;
    NaN: the model cannot tell.
    """

    claim: Claim
    facts: EcgFacts
    measured: Measured
    probabilities: NDArray[np.float64]
    projection: NDArray[np.float32]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    novelty: float
    signals: tuple[str, ...] | None = None
    """Keys of the signal files in its header."""


class Refused(NamedTuple):
    """An ECG that goes to quarantine."""

    claim: Claim
    finding: Finding
    signals: tuple[str, ...] | None = None
    """Keys of the signal files in its header; None if the header cannot be read."""


Result = Scored | Refused


class Writer:
    """Writes the results of one run."""

    def __init__(self, engine: Engine, settings: Settings, scorer: Scorer, run_id: uuid.UUID) -> None:
        self._engine = engine
        self._outage_seconds = settings.outage_seconds
        self._keep_days = settings.retention.scores_days
        thresholds = scorer.thresholds.items()
        self._values: dict[str, Any] = {
            "run_id": run_id,
            "model_version": scorer.model_version,
            "preprocessing_version": scorer.preprocessing_version,
            "targets": [name for name, _ in thresholds],
            "thresholds": [threshold.value for _, threshold in thresholds],
            "rules": [threshold.rule for _, threshold in thresholds],
            "tolerance_uv": TOLERANCE_UV,
        }

    def write(self, results: Sequence[Result]) -> None:
        """Write a batch exactly once. Results of ECGs that another scorer took over are dropped.

        An ECG with a value that Postgres refuses goes to quarantine; the others are written. Raises
        DatabaseUnavailableError if Postgres does not return; the batch's leases then expire.
        """
        try:
            transact(self._engine, self._outage_seconds, self._write, results)
        except DATA_ERRORS as error:
            if not is_data_error(error):
                raise
            self._find_culprit(results, error)

    def _find_culprit(self, results: Sequence[Result], error: Exception) -> None:
        """Find the ECG with the refused value by bisection: write each half separately."""
        if len(results) > 1:
            middle = len(results) // 2
            self.write(results[:middle])
            self.write(results[middle:])
            return
        log.warning(
            "a value of one ECG cannot be written, it goes to quarantine: %s", plain(data_fault(error))
        )
        refused = Refused(results[0].claim, Finding(Reason.UNWRITABLE, _advice(error)))
        transact(self._engine, self._outage_seconds, self._write, [refused])

    def _write(self, connection: Connection, results: Sequence[Result]) -> None:
        opted_out = load_opt_outs(connection)  # somebody may have since the run began
        results = [self._allowed(result, opted_out) for result in results]
        connection.execute(queries.statement("stage_results"))
        copy_rows(connection, "staged_results", COLUMNS, map(_row, results))
        copy_rows(connection, "staged_parts", ("object_id", "key"), _parts(results))
        self._execute(connection, "remember_results")
        self._execute(connection, "hold_champion")
        self._execute(connection, "write_01_lock")
        if lost := self._execute(connection, "write_02_fence"):
            log.warning("%d results were dropped: other scorers have taken their ECGs over", lost)
        has_parts = connection.scalar(queries.statement("has_parts"))
        for step in (*(PARTS_STEPS if has_parts else ()), *STEPS):
            self._execute(connection, step)

    def _allowed(self, result: Result, opted_out: OptOuts) -> Result:
        """Refuse an ECG that may not be kept, although it could be scored."""
        if isinstance(result, Refused):
            return result
        if result.facts.patient_id in opted_out:
            return Refused(result.claim, Finding(Reason.OPTED_OUT, OPTED_OUT_DETAIL), result.signals)
        if _too_old(result, self._keep_days):
            detail = f"it is older than {self._keep_days} days, STENCE_RETENTION__SCORES_DAYS; nothing to do"
            return Refused(result.claim, Finding(Reason.PAST_RETENTION, detail), result.signals)
        return result

    def _execute(self, connection: Connection, step: str) -> int:
        """Execute a statement of ``sql/statements``, and return the number of changed rows."""
        statement = queries.statement(step)
        values = {name: self._values[name] for name in statement.compile().params}
        return connection.execute(statement, values).rowcount


def _too_old(result: Scored, keep_days: int) -> bool:
    taken = result.facts.acquired_at
    if not keep_days or taken is None:
        return False
    return taken < datetime.now(UTC) - timedelta(days=keep_days)


def _advice(error: Exception) -> str:
    return (
        f"Postgres does not take one of its values ({data_fault(error)}): send the file again from the ECG "
        "system; report it if that does not help"
    )


def _parts(results: Iterable[Result]) -> Iterator[tuple[int, str]]:
    """Yield signal files whose name differs from their header's, with the header's object id."""
    for result in results:
        name = record_key(result.claim.key)
        for key in result.signals or ():
            if record_key(key) != name:
                yield result.claim.object_id, key


def _row(result: Result) -> tuple[Any, ...]:
    claim = result.claim
    start = (claim.object_id, claim.attempt, claim.etag, result.signals is not None)
    if isinstance(result, Refused):
        finding = result.finding
        nothing = (None,) * (len(ECG_COLUMNS) + len(TARGET_NAMES) + len(WATCHED_COLUMNS) + len(SURE_COLUMNS))
        return (*start, *nothing, str(finding.reason), finding.detail, finding.lead, finding.value)
    watched = (*result.measured, array_text(result.projection))
    found = (*result.facts, *result.probabilities.tolist(), *watched, *_sure(result))
    return (*start, *found, *(None,) * len(FINDING_COLUMNS))


def _sure(result: Scored) -> tuple[Any, ...]:
    """Return the values of SURE_COLUMNS, None where the model cannot tell."""
    ends = (
        (None, None) if np.isnan(result.lower).any() else (array_text(result.lower), array_text(result.upper))
    )
    if np.isnan(result.novelty):
        return (*ends, None, None)
    return (*ends, result.novelty, result.novelty >= UNLIKE_PERCENT)
