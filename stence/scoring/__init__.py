"""Scoring: ECGs in the object store give scores, flags and quarantine rows in Postgres, exactly once."""

from __future__ import annotations

from stence.ingest.indexing import IndexSummary, index
from stence.scoring import quarantine, reviews, withdrawals
from stence.scoring.run import Run, open_run
from stence.scoring.scorer import Scorer
from stence.scoring.summary import RunSummary
from stence.scoring.workers import score_with_workers
from stence.scoring.workload import Portion, Workload

__all__ = [
    "IndexSummary",
    "Portion",
    "Run",
    "RunSummary",
    "Scorer",
    "Workload",
    "index",
    "open_run",
    "quarantine",
    "reviews",
    "score_with_workers",
    "withdrawals",
]
