"""Metrics of monitoring: a value about a window of time, stored as a row of ``monitoring_metrics``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, insert, select

from stence.database import queries
from stence.database.tables import monitoring_metrics
from stence.domain.windows import Window


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's value, its 95 % interval, and the number of observations.

    ``slice_key`` and ``slice_value`` restrict the metric to a slice, e.g. ``device`` and the device's name;
    None means no restriction. A value that is not finite raises ValueError: leave the metric out instead.
    """

    name: str
    value: float
    count: int | None = None
    lower: float | None = None
    upper: float | None = None
    slice_key: str | None = None
    slice_value: str | None = None
    model_version: str | None = None

    def __post_init__(self) -> None:
        if not all(
            math.isfinite(figure) for figure in (self.value, self.lower, self.upper) if figure is not None
        ):
            raise ValueError(f"{self.name} is not finite")

    def row(self) -> dict[str, Any]:
        """The metric's columns in ``monitoring_metrics``, without the window."""
        return {
            "name": self.name,
            "value": float(self.value),
            "count": None if self.count is None else int(self.count),
            "lower": None if self.lower is None else float(self.lower),
            "upper": None if self.upper is None else float(self.upper),
            "slice_key": self.slice_key,
            "slice_value": self.slice_value,
            "model_version": self.model_version,
        }


def write(
    connection: Connection, window: Window, metrics: Iterable[Metric], *, everything: bool = True
) -> int:
    """Replace the metrics of ``window``; return the number of rows.

    Rows of models without new metrics stay: a retired model keeps its history. ``everything`` is False where
    a part failed; then all rows stay that were not measured again. Writers wait for each other.
    """
    about = {"window_start": window.start, "window_end": window.end}
    rows = [about | metric.row() for metric in metrics]
    connection.execute(queries.statement("metrics_01_lock"))
    names = None if everything else sorted({row["name"] for row in rows})
    versions = sorted({row["model_version"] for row in rows if row["model_version"]})
    connection.execute(
        queries.statement("metrics_02_replace"), about | {"names": names, "versions": versions}
    )
    if rows:
        connection.execute(insert(monitoring_metrics), rows)
    return len(rows)


def read(connection: Connection, window: Window) -> list[Metric]:
    """The metrics of ``window``."""
    m = monitoring_metrics.c
    found = (
        select(*(m[each.name] for each in fields(Metric)))
        .where(m.run_id.is_(None), m.window_start == window.start, m.window_end == window.end)
        .order_by(m.id)
    )
    return [Metric(*row) for row in connection.execute(found)]
