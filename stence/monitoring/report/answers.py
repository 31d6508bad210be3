"""Data of the report: the answers of the ready queries ``monitoring_*``, and nothing else."""

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
"""Queries with a last day."""
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
"""Queries about the present."""
SINCE = ("alert_changes", "model_changes")
"""Queries about the time since the last report."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a ready query, with the query's name and parameters."""

    query: str
    params: Mapping[str, str]
    columns: Sequence[str]
    rows: Sequence[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """The rows as dictionaries by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def groups(self, column: str) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
        """The records of each value of ``column``. Rows of one value must be adjacent."""
        for value, records in groupby(self.records(), key=lambda record: record[column]):
            yield value, list(records)


def ask_everything(
    engine: Engine, until: date, since: datetime | None, progress: Progress
) -> dict[str, Answer]:
    """All answers of the report, by query name without ``monitoring_``, in one snapshot of the database.

    Trends end with the day ``until``. ``since`` is the time of the last report, or None for the first report.
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
