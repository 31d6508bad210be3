"""What the report says: answers of the ready queries ``monitoring_*``, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Engine

from stence.database import queries
from stence.progress import Progress

DATED = (
    "operations",
    "arrivals",
    "quarantine",
    "input_trend",
    "embedding_trend",
    "score_trend",
    "score_histogram",
    "new_categories",
    "workload",
)
"""Queries up to a day."""
NEWEST = (
    "lights",
    "key_figures",
    "alerts",
    "drift",
    "outcomes",
    "calibration",
    "expected",
    "subgroups",
    "models",
    "reviews",
    "runs",
)
"""Queries about what is known now."""
SINCE = ("alert_changes", "model_changes")
"""Queries about what came after the last report."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows that a ready query gave, and how to ask it again."""

    query: str
    params: Mapping[str, str]
    columns: Sequence[str]
    rows: Sequence[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """The rows by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def groups(self, column: str) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
        """The records of each value of ``column``; rows of one lie together."""
        for value, records in groupby(self.records(), key=lambda record: record[column]):
            yield value, list(records)


def ask_everything(
    engine: Engine, until: date, since: datetime | None, progress: Progress
) -> dict[str, Answer]:
    """Every answer of the report by its query's name without ``monitoring_``, of one moment of the database.

    Trends end with the day ``until``; ``since`` is when the last report was made, None for the first.
    """
    asked: dict[str, dict[str, str]] = {name: {} for name in NEWEST}
    asked |= {name: {"until": until.isoformat()} for name in DATED}
    if since is not None:
        asked |= {name: {"since": since.isoformat()} for name in SINCE}
    answers = {}
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        for done, (name, params) in enumerate(asked.items(), start=1):
            query = f"monitoring_{name}"
            columns, rows = queries.run(connection, query, params)
            answers[name] = Answer(query, params, columns, rows)
            progress("ask", done, len(asked))
    return answers
