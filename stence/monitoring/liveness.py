"""Liveness of scoring, checked every hour from Postgres alone.

The daily monitor run would report a dead scorer a day late. The metrics ``names.LIVE`` describe the present,
not a day. The daily monitor run writes them, too, but only this module raises their alerts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from stence.database import queries
from stence.database.outage import retry_outages
from stence.evaluation.watched import Watched, watched_models
from stence.monitoring import alerts
from stence.monitoring.alerts import Finding, Settled
from stence.monitoring.metrics import Metric
from stence.monitoring.names import LIVE
from stence.monitoring.rules import find, load_rules
from stence.settings import Settings


def check(engine: Engine, settings: Settings) -> Settled:
    """Open and resolve the alerts on LIVE metrics; nothing where no model is champion.

    Raises ConfigurationError for wrong rules, and DatabaseUnavailableError.
    """

    def action() -> Settled:
        now, watched = datetime.now(UTC), watched_models(engine)
        found = findings(engine, settings, now, watched)
        if not found:
            return Settled([], [])
        with engine.begin() as connection:
            return alerts.settle(connection, found, now, [model.version for model in watched])

    return retry_outages(action, settings.outage_seconds)


def findings(engine: Engine, settings: Settings, now: datetime, watched: list[Watched]) -> list[Finding]:
    """Findings of the rules on LIVE metrics, for the champion at the time ``now``."""
    rules = load_rules(settings)
    measured = [
        metric for model in watched if model.state == "champion" for metric in _measure(engine, model, now)
    ]
    return find(rules, [measured] * rules.longest)


def _measure(engine: Engine, model: Watched, now: datetime) -> list[Metric]:
    values = {"model_version": model.version, "start": now - timedelta(hours=1), "end": now}
    with engine.connect() as connection:
        figures = connection.execute(queries.statement("measure_throughput"), values).mappings().one()
    return [
        Metric(name, float(figures[name]), model_version=model.version)
        for name in LIVE
        if figures[name] is not None
    ]
