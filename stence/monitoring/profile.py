"""A reference profile: the data that monitoring compares a window with, stored as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from stence.database import queries
from stence.domain.random_projection import PROJECTION_SIZE
from stence.domain.windows import Window
from stence.evaluation.watched import Watched
from stence.monitoring import score_days
from stence.monitoring.samples import ALL, Sample, Slice, load
from stence.monitoring.score_days import ScoreDays
from stence.settings import Settings

CATEGORIES = ("device", "site", "sampling_rate", "sex", "indication")
REPORTED = ("max_degree", "mean_degree", "narrowed")
"""Of each cath study: worst and mean narrowing in percent, and number of narrowed segments."""
MAX_REPORTS = 4_000

Categories = Mapping[str, Mapping[str, Mapping[str, int]]]
"""ECGs by category, place and value. The place is the site, or the device where the site is unknown."""
Arrivals = dict[Slice, dict[date, int]]


@dataclass(frozen=True, slots=True)
class Profile:
    """A sample of the ECGs, counts of all ECGs, and the cath reports of the same days.

    ``arrivals``: ECGs on each of ``days``: all, by device and by site. ``reports`` (studies, 3) in the order
    of ``REPORTED``. ``score_days``: mean scores of all ECGs by day and place; None in a profile
    without them, which an earlier version stored.
    """

    sample: Sample
    categories: Categories
    days: Sequence[date]
    arrivals: Mapping[Slice, NDArray[np.int64]]
    reports: NDArray[np.float64]
    score_days: ScoreDays | None

    def json(self) -> dict[str, Any]:
        """The profile as JSON: numbers have at most four significant digits, scores have six decimals."""
        sample = self.sample
        projected = np.flatnonzero(~np.isnan(sample.projections).any(axis=1))
        return {
            "places": {key: values.tolist() for key, values in sample.places.items()},
            "measured": [_numbers(row, ".4g") for row in sample.measured],
            "scores": [_numbers(row, ".6f") for row in sample.scores],
            "sketched": projected.tolist(),
            "sketches": [_numbers(row, ".4g") for row in sample.projections[projected]],
            "categories": self.categories,
            "days": [day.isoformat() for day in self.days],
            "arrivals": [[of.key, of.value, counts.tolist()] for of, counts in self.arrivals.items()],
            "reports": [_numbers(row, ".4g") for row in self.reports],
            "weekend": sample.weekend.tolist(),
            "score_days": self.score_days and self.score_days.json(),
        }

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Profile:
        """Read a profile from the output of ``json``."""
        measured = np.array(stored["measured"], dtype=np.float64)
        projections = np.full((len(measured), PROJECTION_SIZE), np.nan)
        projections[stored["sketched"]] = np.array(stored["sketches"]).reshape(-1, PROJECTION_SIZE)
        return cls(
            Sample(
                {key: np.array(values, dtype=str) for key, values in stored["places"].items()},
                measured,
                np.array(stored["scores"], dtype=np.float64),
                projections,
                np.array(stored.get("weekend", [None] * len(measured)), dtype=np.float64),
            ),
            stored["categories"],
            [date.fromisoformat(day) for day in stored["days"]],
            {Slice(key, value): np.array(counts) for key, value, counts in stored["arrivals"]},
            np.array(stored["reports"], dtype=np.float64).reshape(-1, len(REPORTED)),
            ScoreDays.of_json(stored["score_days"]) if stored.get("score_days") else None,
        )


def observe(engine: Engine, settings: Settings, window: Window, model: Watched) -> Profile:
    """Build a window's reference profile: sampled scores, counts, reports."""
    with engine.connect() as connection:
        counted = count_arrivals(connection, settings, window)
        categories, studies = count_categories(connection, window), reports(connection, window)
    seen = counted.get(ALL, {})
    days = _days(min(seen), window.end.astimezone(ZoneInfo(settings.timezone)).date()) if seen else []
    arrivals = {
        of: np.array([by_day.get(day, 0) for day in days])
        for of, by_day in counted.items()
        if of.key != "hour"
    }
    sample = load(engine, settings, window, model, scored=True)
    means = score_days.read(engine, settings, window, model)
    return Profile(sample, categories, days, arrivals, studies, means)


def count_arrivals(connection: Connection, settings: Settings, window: Window) -> Arrivals:
    """ECGs on each day of a window with ECGs: all, by device, by site and by ``hour``."""
    values = {"start": window.start, "end": window.end, "timezone": settings.timezone}
    arrivals: Arrivals = defaultdict(dict)
    for row in connection.execute(queries.statement("drift_arrivals"), values):
        if row.slice_key is None or row.slice_value is not None:
            arrivals[Slice(row.slice_key, row.slice_value)][row.day] = row.ecgs
    return arrivals


def count_categories(connection: Connection, window: Window) -> Categories:
    """ECGs of a window by ``CATEGORIES``. ECGs with an unknown category are left out."""
    counts: dict[str, dict[str, dict[str, int]]] = {key: defaultdict(dict) for key in CATEGORIES}
    values = {"start": window.start, "end": window.end}
    for row in connection.execute(queries.statement("drift_categories"), values):
        if row.slice_value is not None:
            counts[row.slice_key][row.place][row.slice_value] = row.ecgs
    return counts


def reports(connection: Connection, window: Window) -> NDArray[np.float64]:
    """Cath studies performed in a window (n, 3), in the order of ``REPORTED``; at most ``MAX_REPORTS``."""
    values = {"start": window.start, "end": window.end, "most": MAX_REPORTS}
    rows = [tuple(row) for row in connection.execute(queries.statement("drift_reports"), values)]
    return np.array(rows, dtype=np.float64).reshape(-1, len(REPORTED))


def _days(first: date, end: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((end - first).days)]


def _numbers(row: NDArray[np.float64], precision: str) -> list[float | None]:
    return [None if np.isnan(value) else float(format(value, precision)) for value in row]
