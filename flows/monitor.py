"""Look at the last days: what arrived, whether inputs and scores moved, what came of it; alert and report."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.alerts import check_runs, progress
from flows.discretion import library_logs
from flows.workplace import Workplace, dated, open_workplace, step, unseen
from stence.database import queries
from stence.monitoring.alerts import Settled
from stence.monitoring.daily import Watch, complete_days, watch
from stence.monitoring.report import ReportFile, write_report
from stence.progress import silent

TABLES = {
    "monitor-alerts": ("alerts_open", "Alerts that are not resolved"),
    "monitor-drift": ("monitoring_drift", "What lies farthest from the model's reference"),
    "monitor-operations": ("monitoring_operations", "Arrivals, backlog, quarantine and runs by day"),
}
"""Artifacts, and the ready queries that they show."""


@step("watch")
def watch_days(place: Workplace, days: list[date]) -> Watch:
    """Measure the days and settle the alerts."""
    return watch(place.engine, place.settings, days)


@step("report")
def report(place: Workplace, today: date) -> ReportFile:
    """Write the report of ``today`` into the store."""
    return write_report(place.engine, place.store, place.settings, silent, today)


@flow(name="monitor", flow_run_name=dated("monitor"), persist_result=False)
def monitor(days: list[date] | None = None) -> dict[str, Any]:
    """Look at ``days``, by default the last complete ones, and write the report; how much was found."""
    with library_logs(), open_workplace() as place:
        shared = unseen(place)
        progress(check_runs(shared))
        looked_at = days or complete_days(place.settings)
        seen = watch_days(shared, looked_at)
        progress(Settled(seen.opened, seen.resolved))
        show_tables(place)
        written = report(shared, max(looked_at) + timedelta(days=1))
        link = f"{place.store.url}/{written.key}"
    # A browser opens no file:// or s3:// address from here: the address must be there to copy, too.
    markdown = f"[Report of {written.day}]({link}), in the store as `{link}`"
    create_markdown_artifact(key="monitor-report", markdown=markdown, description="The last report")
    return {
        "figures": seen.metrics,
        "alerts opened": len(seen.opened),
        "alerts resolved": len(seen.resolved),
        "parts failed": len(seen.failed),
    }


def show_tables(place: Workplace) -> None:
    """Leave what ready queries answer as artifacts: aggregates, and no patient."""
    with place.engine.connect() as connection:
        for key, (query, description) in TABLES.items():
            columns, rows = queries.run(connection, query, {})
            table = [dict(zip(columns, map(shown, row), strict=True)) for row in rows]
            create_table_artifact(key=key, table=table, description=description)


def shown(value: object) -> object:
    """A value as a table in the UI shows it best."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return value if value is None or isinstance(value, int) else str(value)
