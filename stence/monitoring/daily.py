"""The daily monitor run: every part measures the day, then the alert rules are applied to the metrics.

A part that fails does not stop the others. The failure becomes a metric with an alert of its own, and is
recorded in ``monitor_runs``. A second run for the same day replaces its metrics and raises no alert twice.
"""

from __future__ import annotations

import logging
import traceback
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, func, update
from sqlalchemy.dialects.postgresql import insert

from stence.database.leases import close_dead, kept_alive, lease_end
from stence.database.outage import retry_outages, transact
from stence.database.tables import monitor_runs
from stence.discretion import plain
from stence.domain.windows import Window
from stence.errors import DatabaseUnavailableError, MonitoringError, StenceError
from stence.evaluation.watched import Watched, watched_models
from stence.monitoring import (
    alerts,
    embeddings,
    estimation,
    inputs,
    labels,
    operations,
    outcomes,
    promises,
    scores,
    workload,
)
from stence.monitoring.metrics import Metric, read, write
from stence.monitoring.names import LIVE
from stence.monitoring.rules import Rules, find, load_rules
from stence.monitoring.verification import propose
from stence.progress import Progress, silent
from stence.settings import Settings

log = logging.getLogger(__name__)

Measure = Callable[[Engine, Settings, Window, Watched], Iterator[Metric]]


class Part(NamedTuple):
    """One part of monitoring. Parts that are not ``champion_only`` measure models in shadow, too."""

    name: str
    measure: Measure
    champion_only: bool = False
    window_of: Callable[[Window, Settings], Window] = lambda day, settings: day


PARTS = (
    Part("operations", operations.measure, champion_only=True),
    Part("inputs", inputs.measure, champion_only=True),
    Part("embeddings", embeddings.measure),
    Part("scores", scores.measure),
    Part("workload", workload.measure),
    Part("labels", labels.measure, champion_only=True),
    Part("promises", promises.measure, window_of=outcomes.window_of),
    Part("outcomes", outcomes.measure, window_of=outcomes.window_of),
    Part("estimation", estimation.measure),
)


@dataclass(slots=True)
class Watch:
    """Outcome of a monitor run: number of metrics, changed alerts, and the parts that failed."""

    metrics: int = 0
    opened: list[alerts.Alert] = field(default_factory=list)
    resolved: list[alerts.Alert] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Day:
    """The metrics of a day, by window. Outcomes have an earlier window than the other parts."""

    window: Window
    figures: dict[Window, list[Metric]]
    failed: list[str]

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of all windows."""
        return [metric for metrics in self.figures.values() for metric in metrics]


def complete_days(settings: Settings, now: datetime | None = None) -> list[date]:
    """The last ``monitor_days`` days that are over in the hospital's timezone."""
    today = (now or datetime.now(UTC)).astimezone(ZoneInfo(settings.timezone)).date()
    return [today - timedelta(days=back) for back in range(settings.monitor_days, 0, -1)]


def watch(engine: Engine, settings: Settings, days: Sequence[date], progress: Progress = silent) -> Watch:
    """Monitor each of ``days``, oldest first. Metrics and alerts are in the database when this returns.

    Raises MonitoringError where no model is champion, ConfigurationError for wrong rules, and
    DatabaseUnavailableError.
    """
    rules, seen = load_rules(settings), Watch()
    with _recorded(engine, settings, len(days), seen):
        watched = retry_outages(lambda: _watched(engine), settings.outage_seconds)
        propose(engine, settings)
        for number, day in enumerate(sorted(set(days))):
            progress("days", number, len(days), note=f"{day}")
            measured = measure_day(engine, settings, watched, day)
            seen.failed += [f"{day} {failure}" for failure in measured.failed]
            changed = transact(engine, settings.outage_seconds, _settle, settings, rules, watched, measured)
            seen.metrics += len(measured.metrics)
            seen.opened += changed.opened
            seen.resolved += changed.resolved
        progress("days", len(days), len(days))
    return seen


def measure_day(engine: Engine, settings: Settings, watched: Sequence[Watched], day: date) -> Day:
    """Measure ``day`` with every part. ``watched`` holds the champion first, then the models in shadow."""
    window = Window.of_day(day, settings.timezone)
    figures: dict[Window, list[Metric]] = defaultdict(list)
    failed = []
    for part in PARTS:
        its_window = part.window_of(window, settings)
        failures = []
        for model in watched[:1] if part.champion_only else watched:
            try:
                figures[its_window] += _measured(part, engine, settings, its_window, model)
            except DatabaseUnavailableError:
                raise
            except Exception as error:
                failures.append(f"{part.name} of {model.version}: {_said(error)}")
                log.error("a part of monitoring failed: %s", plain(failures[-1]))
        failed += failures
        figures[window].append(_part_failed(part, bool(failures)))
    return Day(window, dict(figures), failed)


def _measured(part: Part, engine: Engine, settings: Settings, window: Window, model: Watched) -> list[Metric]:
    return retry_outages(lambda: list(part.measure(engine, settings, window, model)), settings.outage_seconds)


def _said(error: Exception) -> str:
    """The error's text, or its place: texts of foreign errors may hold values from the database."""
    if isinstance(error, StenceError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"


def _part_failed(part: Part, failed: bool) -> Metric:
    return Metric("part_failed", float(failed), slice_key="part", slice_value=part.name)


def _settle(
    connection: Connection, settings: Settings, rules: Rules, watched: Sequence[Watched], measured: Day
) -> alerts.Settled:
    """Write a day's metrics, then open and resolve alerts by these metrics and those of the days before."""
    for window, metrics in measured.figures.items():
        write(connection, window, metrics, everything=not measured.failed)
    earlier = [
        [metric for window in windows for metric in read(connection, window)]
        for windows in _windows_before(settings, measured.window, rules.longest - 1)
    ]
    findings = [each for each in find(rules, [measured.metrics, *earlier]) if each.metric not in LIVE]
    versions = [model.version for model in watched]
    return alerts.settle(connection, findings, measured.window.end, versions)


def _windows_before(settings: Settings, window: Window, count: int) -> Iterator[set[Window]]:
    """The windows of all parts, on each of the days before."""
    zone = ZoneInfo(settings.timezone)
    for back in range(1, count + 1):
        day = Window.of_day(window.start.astimezone(zone).date() - timedelta(days=back), settings.timezone)
        yield {part.window_of(day, settings) for part in PARTS}


def _watched(engine: Engine) -> list[Watched]:
    watched = watched_models(engine)
    if not watched or watched[0].state != "champion":
        raise MonitoringError("No model is champion. Promote a model first: stence models promote.")
    return watched


@contextmanager
def _recorded(engine: Engine, settings: Settings, days: int, seen: Watch) -> Iterator[None]:
    """Record the block as a row of ``monitor_runs``, with the state in which the block ends."""
    number = uuid.uuid4()
    row = update(monitor_runs).where(monitor_runs.c.id == number)
    leased = {"lease_expires_at": lease_end(settings.lease_seconds)}

    def begin(connection: Connection) -> None:
        values = {"id": number, "state": "running", "days": days, **leased}
        close_dead(connection, monitor_runs)
        connection.execute(insert(monitor_runs).values(values).on_conflict_do_nothing())

    def end(state: str, error: str | None) -> None:
        values = {
            "state": state,
            "finished_at": func.clock_timestamp(),
            "lease_expires_at": None,
            "metrics": seen.metrics,
            "alerts_opened": len(seen.opened),
            "error": error,
        }
        transact(engine, settings.outage_seconds, Connection.execute, row.values(values))

    def renew() -> None:
        with engine.begin() as connection:
            connection.execute(row.where(monitor_runs.c.state == "running").values(leased))

    transact(engine, settings.outage_seconds, begin)
    with kept_alive(renew, settings.lease_seconds, "this monitoring"):
        try:
            yield
        except BaseException as error:
            said = f": {error}" if isinstance(error, StenceError) else ""
            stopped = not isinstance(error, Exception)
            end("interrupted" if stopped else "failed", f"{type(error).__name__}{said}")
            raise
        end("finished", "; ".join(seen.failed) or None)
