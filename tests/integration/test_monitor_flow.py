"""Ingest, score and monitor on a real Prefect server: what is left there, and that it names nobody."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from stence.database.tables import alerts, ecgs, manifest_records, monitoring_metrics, objects
from stence.objects import ObjectStore, open_store
from stence.progress import silent
from stence.settings import Settings
from stence.simulation.feed import FeedConfig, simulate_days
from support.champion import crown
from support.environment import set_environment
from support.prefect_server import artifacts, everything_prefect_holds, last_run, task_runs

FIRST = date(2026, 7, 1)
DAYS = [FIRST, FIRST + timedelta(days=1)]
UUID = re.compile("[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
RULES = """
many_arrived:
  when: ecgs_arrived > 10
  severity: critical
  means: ECGs arrived.
  do: Be glad.
"""


@pytest.fixture
def store(
    engine: Engine,
    settings: Settings,
    prefect_database: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> ObjectStore:
    """A store with two days of the practice hospital, a champion, and a rule that finds something in them."""
    set_environment(monkeypatch, settings)
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    monkeypatch.setenv("STENCE_ALERT_RULES", str(rules))
    store = open_store(settings.resolved_store_url, settings)
    simulate_days(store, settings, FeedConfig(first_day=FIRST, days=2, ecgs_per_day=40), silent)
    crown(engine, store, settings, "model-7", threshold=0.4)
    return store


def identifiers(engine: Engine) -> set[str]:
    """Every patient, object key and part of a key that says which recording it is."""
    columns = (
        ecgs.c.patient_id,
        manifest_records.c.patient_id,
        manifest_records.c.study_id,
        objects.c.key,
        objects.c.record_key,
        func.encode(ecgs.c.content_hash, "hex"),
    )
    with engine.connect() as connection:
        found = {str(value) for column in columns for value in connection.scalars(select(column)) if value}
    return found | {Path(each).name for each in found}


@pytest.mark.slow
def test_a_full_run_tells_what_it_found_and_names_no_patient(
    client: Any, engine: Engine, settings: Settings, store: ObjectStore, prefect_database: Path
) -> None:
    from prefect.events.worker import EventsWorker

    from stence.flows.ingest import ingest
    from stence.flows.monitor import monitor
    from stence.flows.score import score

    ingest()
    scored = score()
    found = monitor(DAYS)
    assert scored["scored"] > 40
    assert found["alerts opened"] == 1
    assert found["parts failed"] == 0
    with engine.connect() as connection:
        figures = connection.scalar(
            select(func.count()).select_from(monitoring_metrics).where(monitoring_metrics.c.run_id.is_(None))
        )
        assert found["figures"] == figures
        assert connection.scalar(select(alerts.c.rule)) == "many_arrived"

    run = last_run(client, "monitor")
    assert run.state.is_completed()
    assert re.fullmatch(r"monitor-\d{4}-\d\d-\d\d-\d{4}", run.name)
    assert sorted(task.name for task in task_runs(client, run)) == ["check-runs", "report", "watch"]
    left = artifacts(client, run)
    assert left.keys() == {"monitor-alerts", "monitor-drift", "monitor-operations", "monitor-report"}
    assert "many_arrived" in left["monitor-alerts"]
    assert store.url in left["monitor-report"]

    EventsWorker.drain_all(timeout=30)
    held = everything_prefect_holds(prefect_database)
    assert "alert 1 opened, critical: many_arrived" in held
    known = identifiers(engine)
    assert len(known) > 200
    said = UUID.sub("", held)  # in whose digits a patient's number may stand by chance
    assert [each for each in known if each in said] == []


@pytest.mark.slow
def test_days_monitored_again_raise_nothing_new(client: Any, engine: Engine, store: ObjectStore) -> None:
    from stence.flows.monitor import monitor
    from stence.flows.score import score

    score()
    first = monitor(DAYS)
    again = monitor(DAYS)
    assert first["alerts opened"] == 1
    assert (again["alerts opened"], again["alerts resolved"]) == (0, 0)
    assert again["figures"] == first["figures"]
