"""Operations: arrival of ECGs, time to score, and share of unusable files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

import numpy as np
from sqlalchemy import Engine

from stence.database import queries
from stence.domain.windows import Window
from stence.evaluation.watched import Watched
from stence.monitoring import statistics
from stence.monitoring.metrics import Metric
from stence.monitoring.profile import Profile, count_arrivals
from stence.monitoring.reference import reference
from stence.monitoring.samples import ALL, Slice
from stence.settings import Settings


def measure(engine: Engine, settings: Settings, window: Window, model: Watched) -> Iterator[Metric]:
    """Arrival and processing of the window's ECGs, as of the window's end.

    ``ecgs_arrived``, ``feed_ratio`` and ``feed_p`` by device and site; ``quarantine_rate`` by reason;
    ``backlog``, ``backlog_age_hours``, ``latency_hours_median``, ``latency_hours_p95``, ``ecgs_scored``,
    ``ecgs_per_second``, ``hours_since_run`` and ``runs_failed`` of the model.
    """
    yield from _arrivals(engine, settings, window, model)
    yield from _quarantine(engine, window)
    yield from _progress(engine, window, model)


def _arrivals(engine: Engine, settings: Settings, window: Window, model: Watched) -> Iterator[Metric]:
    with engine.connect() as connection:
        arrived = {
            of: sum(days.values()) for of, days in count_arrivals(connection, settings, window).items()
        }
    for of, count in ({ALL: 0} | arrived).items():
        yield Metric("ecgs_arrived", count, count, slice_key=of.key, slice_value=of.value)
    profile = reference(engine, settings, window, model)
    if profile is not None:
        yield from _against(profile, window.start.date(), arrived)


def _against(profile: Profile, day: date, arrived: Mapping[Slice, int]) -> Iterator[Metric]:
    """Arrivals compared with the same weekday in the reference; p is Holm-adjusted over the slices.

    A slice without ECGs on such a weekday gives no metric. A weekday that the reference lacks gives none,
    either.
    """
    weekday = np.array([earlier.weekday() for earlier in profile.days])
    found = []
    for of, counts in profile.arrivals.items():
        before = counts[weekday == day.weekday()]
        if before.any():
            by_weekday = [counts[weekday == n] for n in range(7)]
            p = statistics.so_few(arrived.get(of, 0), before, statistics.dispersion(by_weekday))
            found.append((of, arrived.get(of, 0), float(before.mean()), p))
    adjusted = statistics.holm([p for *_, p in found])
    for (of, count, expected, _), p in zip(found, adjusted, strict=True):
        yield Metric("feed_ratio", count / expected, count, slice_key=of.key, slice_value=of.value)
        yield Metric("feed_p", p, count, slice_key=of.key, slice_value=of.value)


def _quarantine(engine: Engine, window: Window) -> Iterator[Metric]:
    """Shares of the window's files in quarantine, including rows that people have dismissed."""
    with engine.connect() as connection:
        values = {"start": window.start, "end": window.end}
        refused = {
            row.reason: row.ecgs for row in connection.execute(queries.statement("count_refused"), values)
        }
        usable = int(connection.scalar(queries.statement("count_taken"), values) or 0)
    total = usable + sum(refused.values())
    if not total:
        return
    yield _share(sum(refused.values()), total)
    for reason, count in refused.items():
        yield _share(count, total, reason)


def _share(count: int, total: int, reason: str | None = None) -> Metric:
    share = statistics.proportion(count, total)
    key = reason and "reason"
    return Metric(
        "quarantine_rate", share.value, total, share.lower, share.upper, slice_key=key, slice_value=reason
    )


def _progress(engine: Engine, window: Window, model: Watched) -> Iterator[Metric]:
    values = {
        "start": window.start,
        "end": window.end,
        "model_version": model.version,
        "preprocessing_version": model.preprocessing_version,
    }
    with engine.connect() as connection:
        for name in ("measure_backlog", "measure_latency", "measure_throughput"):
            figures = connection.execute(queries.statement(name), values).mappings().one()
            count = figures.get("ecgs")
            for metric, value in figures.items():
                if metric != "ecgs" and value is not None:
                    yield Metric(metric, float(value), count, model_version=model.version)
