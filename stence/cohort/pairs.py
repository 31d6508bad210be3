"""The book of pairs: which ECG was trained with which cath study, and how many new ones have come since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Engine

from stence.cohort.dataset import Example
from stence.cohort.pairing import Candidate
from stence.database import queries
from stence.database.copy import copy_rows
from stence.database.outage import patiently

COLUMNS = ("content_hash", "study_id", "object_id", "patient_id", "split", "days_before", "weight")


class Pair(NamedTuple):
    """An ECG, by content and file, and the study that it came so many days before."""

    content: str
    study_id: str
    object_id: int
    patient_id: str
    split: str
    days_before: float

    @classmethod
    def of(cls, candidate: Candidate, example: Example) -> Pair:
        """The pair that an example of the cohort is."""
        return cls(
            example.content,
            example.study_id,
            candidate.object_id,
            example.patient_id,
            example.split,
            example.days_before,
        )


def record_pairs(engine: Engine, pairs: Collection[Pair], outage_seconds: float) -> None:
    """Make ``ecg_study_pairs`` hold these pairs and no others, each weighing its share of its patient's."""
    counts = Counter(pair.patient_id for pair in pairs)

    def action() -> None:
        with engine.begin() as connection:
            connection.execute(queries.statement("stage_pairs"))
            rows = ((bytes.fromhex(pair.content), *pair[1:], 1 / counts[pair.patient_id]) for pair in pairs)
            copy_rows(connection, "staged_pairs", COLUMNS, rows)
            connection.execute(queries.statement("drop_pairs"))
            connection.execute(queries.statement("upsert_pairs"))

    patiently(action, outage_seconds)


def new_pairs(engine: Engine, days_before_study: float) -> int:
    """Pairs of an ECG and a study with angiogram that came after the last finished training saw its data.

    As far as the index can tell: ECGs count whose patient and time a manifest, or an earlier scoring, gives.
    """
    with engine.connect() as connection:
        return int(connection.scalar(queries.statement("new_pairs"), {"days": days_before_study}) or 0)
