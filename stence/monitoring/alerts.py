"""Alerts: opened, kept and resolved by the findings of each day.

States: open -> acknowledged -> resolved. Each cause has at most one alert that is not resolved. The alert
stays while its condition holds. It is resolved on the first later day on which the condition was examined and
does not hold. A second run for an older day respects later days: it does not resolve an alert that was seen
since, and it does not raise an alert that is over. Every opening, acknowledgement and resolution adds a row
to ``alert_events``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeGuard

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from stence.database import queries
from stence.database.tables import alert_events, alerts
from stence.errors import MonitoringError

MONITOR = "stence"
"""Author of automatic resolutions."""
UNSEEN_DAYS = 14
"""Days without a measurement after which an alert is resolved, for example of a removed machine."""


class Cause(NamedTuple):
    """The subject of an alert. Each cause has one alert at a time."""

    rule: str
    model_version: str | None
    slice_key: str | None
    slice_value: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of a rule for a cause on a day, whether its condition holds or not."""

    cause: Cause
    holds: bool
    severity: str
    metric: str
    value: float
    detail: str


class Alert(NamedTuple):
    """An alert in short. ``detail`` says what was found and what to do, and names no patient."""

    id: int
    rule: str
    severity: str
    model_version: str | None
    slice_key: str | None
    slice_value: str | None
    value: float | None
    detail: str


class Settled(NamedTuple):
    """The alerts that changed."""

    opened: list[Alert]
    resolved: list[Alert]


def settle(
    connection: Connection, findings: Iterable[Finding], window_end: datetime, versions: Collection[str]
) -> Settled:
    """Open, keep and resolve alerts by the findings of the day that ends at ``window_end``.

    ``versions`` are the monitored models: alerts about other models are resolved. Monitor runs wait for each
    other.
    """
    connection.execute(queries.statement("metrics_01_lock"))
    newest = _newest(connection)
    opened, resolved = [], []
    for finding in findings:
        last = newest.get(finding.cause)
        if finding.holds and _is_news(last, window_end):
            opened.append(_open(connection, finding, window_end))
        elif finding.holds and last is not None and last.state != "resolved":
            _keep(connection, last, finding, window_end)
        elif _is_over(last, window_end):
            resolved.append(_resolve(connection, last.id, MONITOR, "the condition no longer holds"))
    resolved += _forget(connection, window_end, versions)
    return Settled(opened, resolved)


def acknowledge(connection: Connection, number: int, *, by: str, note: str | None = None) -> Alert:
    """Record that a person takes care of an open alert. Raises MonitoringError for other states."""
    _check(connection, number, ("open",), "be acknowledged")
    values = {"state": "acknowledged", "acknowledged_at": func.now(), "acknowledged_by": by, "note": note}
    return _change(connection, number, values, "acknowledged", by, note)


def resolve(connection: Connection, number: int, *, by: str, note: str | None = None) -> Alert:
    """Resolve an alert. It is raised again if its condition holds on a day that began later.

    Raises MonitoringError if the alert is unknown or resolved already.
    """
    _check(connection, number, ("open", "acknowledged"), "be resolved")
    return _resolve(connection, number, by, note)


def _newest(connection: Connection) -> dict[Cause, Row[Any]]:
    """The last alert of each cause."""
    a = alerts.c
    cause = (a.rule, a.model_version, a.slice_key, a.slice_value)
    found = select(alerts).distinct(*cause).order_by(*cause, a.id.desc())
    return {
        Cause(row.rule, row.model_version, row.slice_key, row.slice_value): row
        for row in connection.execute(found)
    }


def _is_news(last: Row[Any] | None, window_end: datetime) -> bool:
    """True if no alert of this cause already covers the day."""
    if last is None:
        return True
    if last.state != "resolved" or window_end <= last.last_window_end:
        return False
    by_person = last.resolved_by != MONITOR
    return not (by_person and window_end - timedelta(days=1) < last.resolved_at)


def _is_over(last: Row[Any] | None, window_end: datetime) -> TypeGuard[Row[Any]]:
    return last is not None and last.state != "resolved" and window_end >= last.last_window_end


def _open(connection: Connection, finding: Finding, window_end: datetime) -> Alert:
    row = {
        **finding.cause._asdict(),
        "severity": finding.severity,
        "metric": finding.metric,
        "state": "open",
        "value": finding.value,
        "detail": finding.detail,
        "last_window_end": window_end,
    }
    alert = Alert(*connection.execute(insert(alerts).values(row).returning(*_SHORT)).one())
    _record(connection, alert.id, "opened", MONITOR, finding.detail)
    return alert


def _keep(connection: Connection, last: Row[Any], finding: Finding, window_end: datetime) -> None:
    if window_end < last.last_window_end:
        return
    seen = {
        "last_seen_at": func.now(),
        "last_window_end": window_end,
        "value": finding.value,
        "severity": finding.severity,
        "detail": finding.detail,
    }
    connection.execute(update(alerts).where(alerts.c.id == last.id).values(seen))


def _forget(connection: Connection, window_end: datetime, versions: Collection[str]) -> list[Alert]:
    """Resolve alerts of models that are no longer monitored, and alerts without recent measurements."""
    a = alerts.c
    left = select(a.id).where(a.state != "resolved", a.last_window_end <= window_end).order_by(a.id)
    unwatched: ColumnElement[bool] = a.model_version.is_not(None) & a.model_version.not_in(versions)
    unseen = a.last_window_end <= window_end - timedelta(days=UNSEEN_DAYS)
    reasons = (
        (unwatched, "the model is no longer monitored"),
        (unseen, f"no measurement for {UNSEEN_DAYS} days"),
    )
    return [
        _resolve(connection, number, MONITOR, why)
        for condition, why in reasons
        for number in connection.scalars(left.where(condition)).all()
    ]


def _resolve(connection: Connection, number: int, by: str, why: str | None) -> Alert:
    values = {"state": "resolved", "resolved_at": func.now(), "resolved_by": by, "note": why}
    return _change(connection, number, values, "resolved", by, why)


def _change(
    connection: Connection, number: int, values: dict[str, Any], event: str, by: str, why: str | None
) -> Alert:
    changed = update(alerts).where(alerts.c.id == number).values(values).returning(*_SHORT)
    alert = Alert(*connection.execute(changed).one())
    _record(connection, number, event, by, why)
    return alert


def _check(connection: Connection, number: int, states: tuple[str, ...], change: str) -> None:
    state = connection.scalar(select(alerts.c.state).where(alerts.c.id == number).with_for_update())
    if state is None:
        raise MonitoringError(f"There is no alert {number}; stence alerts list shows them.")
    if state not in states:
        raise MonitoringError(f"Alert {number} is {state}: it cannot {change}.")


def _record(connection: Connection, number: int, event: str, by: str, why: str | None) -> None:
    row = {"alert_id": number, "event": event, "by_whom": by, "why": why}
    connection.execute(insert(alert_events).values(row))


_SHORT = [alerts.c[name] for name in Alert._fields]
