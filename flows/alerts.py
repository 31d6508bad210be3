"""Alerts in flows: the liveness check of scoring, and Prefect events for automations."""

from __future__ import annotations

from prefect import get_run_logger
from prefect.events import emit_event

from stence.errors import ConfigurationError
from stence.flows.workplace import Workplace, step
from stence.monitoring import liveness
from stence.monitoring.alerts import Alert, Settled


@step("check-runs")
def check_runs(place: Workplace) -> Settled:
    """Open or resolve the alerts about missing score runs. Wrong alert rules stop nothing else."""
    try:
        return liveness.check(place.engine, place.settings)
    except ConfigurationError as error:
        get_run_logger().error("%s", error)
        return Settled([], [])


def progress(changed: Settled) -> None:
    """Log opened and resolved alerts, and emit an event for each."""
    for event, alerts in (("opened", changed.opened), ("resolved", changed.resolved)):
        for alert in alerts:
            get_run_logger().warning("alert %d %s, %s: %s", alert.id, event, alert.severity, alert.rule)
            emit(event, alert)


def emit(event: str, alert: Alert) -> None:
    """Emit an event about an alert. Automations react to these events."""
    emit_event(
        f"stence.alert.{event}",
        resource={
            "prefect.resource.id": f"stence.alert.{alert.id}",
            "prefect.resource.name": alert.rule,
            "stence.severity": alert.severity,
        },
        payload=alert._asdict(),
    )
