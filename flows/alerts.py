"""Alerts in flows: whether scoring is alive, and events about alerts, which automations act on."""

from __future__ import annotations

from prefect import get_run_logger
from prefect.events import emit_event

from flows.workplace import Workplace, step
from stence.errors import ConfigurationError
from stence.monitoring import liveness
from stence.monitoring.alerts import Alert, Settled


@step("check-runs")
def check_runs(place: Workplace) -> Settled:
    """Settle the alerts about score runs that do not come; alert rules that are wrong stop nothing else."""
    try:
        return liveness.check(place.engine, place.settings)
    except ConfigurationError as error:
        get_run_logger().error("%s", error)
        return Settled([], [])


def progress(changed: Settled) -> None:
    """Log and emit which alerts were opened and resolved."""
    for event, alerts in (("opened", changed.opened), ("resolved", changed.resolved)):
        for alert in alerts:
            get_run_logger().warning("alert %d %s, %s: %s", alert.id, event, alert.severity, alert.rule)
            emit(event, alert)


def emit(event: str, alert: Alert) -> None:
    """Tell of an alert by an event, which automations act on."""
    emit_event(
        f"stence.alert.{event}",
        resource={
            "prefect.resource.id": f"stence.alert.{alert.id}",
            "prefect.resource.name": alert.rule,
            "stence.severity": alert.severity,
        },
        payload=alert._asdict(),
    )
