"""The flow ``monitor``: measure the last days, raise alerts, and write the report."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from stence.database import audit, queries
from stence.flows.alerts import check_runs, progress
from stence.flows.discretion import library_logs
from stence.flows.workplace import Workplace, dated, open_workplace, step, unseen
from stence.monitoring.alerts import Settled
from stence.monitoring.daily import Watch, complete_days, watch
from stence.monitoring.report import ReportFile, write_report
from stence.progress import silent

TABLES = {
    "monitor-alerts": ("alerts_open", "Alerts that are not resolved"),
    "monitor-drift": ("monitoring_drift", "Largest distances from the model's reference"),
    "monitor-operations": ("monitoring_operations", "Arrivals, backlog, quarantine and runs by day"),
}
"""Artifacts, with their ready queries."""


@step("watch")
def watch_days(place: Workplace, days: list[date]) -> Watch:
    """Measure the days, and open and resolve alerts."""
    return watch(place.engine, place.settings, days)


@step("report")
def report(place: Workplace, today: date) -> ReportFile:
    """Write the report of ``today`` into the store."""
    return write_report(place.engine, place.store, place.settings, silent, today)


@flow(name="monitor", flow_run_name=dated("monitor"), persist_result=False)
def monitor(days: list[date] | None = None) -> dict[str, Any]:
    """Monitor ``days``, by default the last complete days, and write the report; return counts."""
    with library_logs(), open_workplace() as place:
        shared = unseen(place)
        progress(check_runs(shared))
        looked_at = days or complete_days(place.settings)
        seen = watch_days(shared, looked_at)
        progress(Settled(seen.opened, seen.resolved))
        show_tables(place)
        log_audit_head(place)
        written = report(shared, max(looked_at) + timedelta(days=1))
        link = f"{place.store.url}/{written.key}"
    # A browser does not open a file:// or s3:// link from Prefect's UI, so the address is also there to copy.
    markdown = f"[Report of {written.day}]({link}), in the store as `{link}`"
    create_markdown_artifact(key="monitor-report", markdown=markdown, description="The last report")
    return {
        "figures": seen.metrics,
        "alerts opened": len(seen.opened),
        "alerts resolved": len(seen.resolved),
        "parts failed": len(seen.failed),
    }


def log_audit_head(place: Workplace) -> None:
    """Log the newest hash of the audit, where whoever changes the database cannot take it back."""
    with place.engine.connect() as connection:
        head = audit.head(connection)
    get_run_logger().info("audit: %d links; stence audit verify --expect %s", head.position, head.hash)


def show_tables(place: Workplace) -> None:
    """Show the answers of ready queries as artifacts: aggregates without patients."""
    with place.engine.connect() as connection:
        for key, (query, description) in TABLES.items():
            columns, rows = queries.run(connection, query, {})
            table = [dict(zip(columns, map(shown, row), strict=True)) for row in rows]
            create_table_artifact(key=key, table=table, description=description)


def shown(value: object) -> object:
    """A value as Prefect's UI shows it."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return value if value is None or isinstance(value, int) else str(value)
