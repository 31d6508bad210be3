"""Record of training pairs (ECG, cath study), and the number of new pairs since the last training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from stence.cohort.dataset import Example
from stence.cohort.pairing import Candidate
from stence.database import queries
from stence.database.copy import copy_rows
from stence.database.outage import transact

COLUMNS = ("content_hash", "study_id", "object_id", "patient_id", "split", "days_before", "weight")


class Pair(NamedTuple):
    """An ECG (content hash and object), its cath study, and the days between them."""

    content: str
    study_id: str
    object_id: int
    patient_id: str
    split: str
    days_before: float

    @classmethod
    def of(cls, candidate: Candidate, example: Example) -> Pair:
        """Build the pair of a cohort example."""
        return cls(
            example.content,
            example.study_id,
            candidate.object_id,
            example.patient_id,
            example.split,
            example.days_before,
        )


def record_pairs(engine: Engine, pairs: Collection[Pair], outage_seconds: float) -> None:
    """Replace ``ecg_study_pairs`` by these pairs. A patient's pairs share a total weight of 1."""
    transact(engine, outage_seconds, _replace_pairs, pairs)


def _replace_pairs(connection: Connection, pairs: Collection[Pair]) -> None:
    counts = Counter(pair.patient_id for pair in pairs)
    rows = ((bytes.fromhex(pair.content), *pair[1:], 1 / counts[pair.patient_id]) for pair in pairs)
    connection.execute(queries.statement("stage_pairs"))
    copy_rows(connection, "staged_pairs", COLUMNS, rows)
    connection.execute(queries.statement("drop_pairs"))
    connection.execute(queries.statement("upsert_pairs"))


def new_pairs(connection: Connection, days_before_study: float) -> int:
    """Count pairs of an ECG and a study with angiogram that are newer than the last finished training's data.

    The count covers ECGs whose patient and time are known from a manifest or an earlier scoring.
    """
    return int(connection.scalar(queries.statement("new_pairs"), {"days": days_before_study}) or 0)
