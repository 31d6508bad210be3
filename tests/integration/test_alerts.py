"""Alerts in Postgres: one a cause, whoever looks and however often; and the daily look that raises them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from threading import Barrier
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, cast, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

from stence.cli import main
from stence.database.tables import alert_events, alerts, models, monitor_runs, monitoring_metrics
from stence.domain.targets import TARGET_NAMES
from stence.domain.windows import Window
from stence.errors import MonitoringError
from stence.evaluation.watched import Watched
from stence.monitoring import alerts as library
from stence.monitoring import daily
from stence.monitoring.alerts import Cause, Finding, Settled
from stence.monitoring.metrics import Metric
from stence.settings import Settings
from support.database import tampering
from support.environment import set_environment
from support.routine import FIRST_DAY, Routine, sound

GAIN = Cause("device_gain", None, "device", "Cardio 200")


def day(number: int) -> datetime:
    """The end of a day of the past."""
    return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=number)


def found(holds: bool, cause: Cause = GAIN, value: float = 0.6) -> Finding:
    return Finding(cause, holds, "critical", "input_ks", value, "It is twice as high. Check it.")


def settle(engine: Engine, number: int, *findings: Finding) -> Settled:
    with engine.begin() as connection:
        return library.settle(connection, findings, day(number), ["model-1"])


def states(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(select(alerts.c.state).order_by(alerts.c.id)))


def history(engine: Engine) -> list[tuple[str, str]]:
    with engine.connect() as connection:
        rows = connection.execute(
            select(alert_events.c.event, alert_events.c.by_whom).order_by(alert_events.c.id)
        )
        return [tuple(row) for row in rows]


@pytest.mark.slow
def test_an_alert_stays_while_its_condition_holds_and_resolves_itself(engine: Engine) -> None:
    (opened,) = settle(engine, 1, found(True)).opened
    assert (opened.rule, opened.slice_value) == ("device_gain", "Cardio 200")
    assert settle(engine, 2, found(True, value=0.7)) == Settled([], [])
    with engine.connect() as connection:
        row = connection.execute(select(alerts)).one()
    assert (row.state, row.value, row.last_window_end) == ("open", 0.7, day(2))
    (resolved,) = settle(engine, 3, found(False)).resolved
    assert resolved.id == opened.id
    assert settle(engine, 4, found(False)) == Settled([], [])
    assert history(engine) == [("opened", "stence"), ("resolved", "stence")]


def test_days_looked_at_again_change_nothing(engine: Engine) -> None:
    """Neither those on which it held, nor those on which it was gone."""
    looks = [(1, found(True)), (2, found(True)), (3, found(False)), (4, found(True)), (5, found(True))]
    for number, finding in looks:
        settle(engine, number, finding)
    before = history(engine)
    assert states(engine) == ["resolved", "open"]
    for number, finding in [*looks, *looks[:2]]:
        assert settle(engine, number, finding) == Settled([], [])
    assert history(engine) == before


def test_a_day_of_which_nothing_is_known_resolves_nothing(engine: Engine) -> None:
    settle(engine, 1, found(True))
    for number in (2, 14):
        assert settle(engine, number) == Settled([], [])
    assert states(engine) == ["open"]
    assert [alert.rule for alert in settle(engine, 15).resolved] == ["device_gain"]


def test_a_day_looked_at_again_tells_that_its_condition_is_gone(engine: Engine) -> None:
    """As when what arrived late was measured too."""
    settle(engine, 1, found(True))
    assert [alert.rule for alert in settle(engine, 1, found(False)).resolved] == ["device_gain"]
    assert settle(engine, 1, found(True)) == Settled([], [])


def test_an_older_day_changes_nothing_about_what_was_seen_since(engine: Engine) -> None:
    settle(engine, 5, found(True, value=0.8))
    for holds in (True, False):
        assert settle(engine, 4, found(holds, value=0.3)) == Settled([], [])
    with engine.connect() as connection:
        row = connection.execute(select(alerts)).one()
    assert (row.state, row.value, row.last_window_end) == ("open", 0.8, day(5))


def test_an_alert_grows_worse_with_its_condition(engine: Engine) -> None:
    settle(engine, 1, found(True))
    settle(engine, 2, replace(found(True, value=0.9), severity="warning", detail="Now in all leads."))
    with engine.connect() as connection:
        row = connection.execute(select(alerts)).one()
    assert (row.severity, row.value, row.detail) == ("warning", 0.9, "Now in all leads.")


def test_alerts_about_a_model_that_retired_are_resolved(engine: Engine) -> None:
    Routine(engine).crown("old")
    with engine.begin() as connection:
        cause = Cause("scores_rose", "old", None, None)
        library.settle(connection, [found(True, cause)], day(1), ["old"])
    (resolved,) = settle(engine, 2).resolved
    assert resolved.model_version == "old"


def test_an_acknowledged_alert_is_not_raised_again_and_resolves_itself(engine: Engine) -> None:
    (alert,) = settle(engine, 1, found(True)).opened
    with engine.begin() as connection:
        library.acknowledge(connection, alert.id, by="B. Engineer", note="machine is being mended")
    settle(engine, 2, found(True))
    assert states(engine) == ["acknowledged"]
    settle(engine, 3, found(False))
    assert states(engine) == ["resolved"]
    assert history(engine)[1:] == [("acknowledged", "B. Engineer"), ("resolved", "stence")]


def test_what_a_person_resolved_comes_back_only_by_a_day_that_began_later(engine: Engine) -> None:
    (alert,) = settle(engine, 1, found(True)).opened
    with tampering(engine) as connection:
        library.resolve(connection, alert.id, by="B. Engineer")
        text_of_time = text("UPDATE alerts SET resolved_at = :at")
        connection.execute(text_of_time, {"at": day(2) - timedelta(hours=9)})
    for number in (1, 2):
        assert settle(engine, number, found(True)).opened == []
    assert len(settle(engine, 3, found(True)).opened) == 1


def test_changes_that_make_no_sense_are_refused_in_words(engine: Engine) -> None:
    (alert,) = settle(engine, 1, found(True)).opened
    with engine.begin() as connection:
        library.resolve(connection, alert.id, by="B. Engineer")
        with pytest.raises(MonitoringError, match="is resolved: it cannot be acknowledged"):
            library.acknowledge(connection, alert.id, by="B. Engineer")
        with pytest.raises(MonitoringError, match="There is no alert 999"):
            library.resolve(connection, 999, by="B. Engineer")


def test_monitors_at_the_same_time_raise_one_alert(engine: Engine) -> None:
    start = Barrier(6)

    def look(number: int) -> Settled:
        start.wait()
        return settle(engine, 1, found(True))

    with ThreadPoolExecutor(6) as pool:
        settled = list(pool.map(look, range(6)))
    assert sum(len(each.opened) for each in settled) == 1
    assert states(engine) == ["open"]
    assert history(engine) == [("opened", "stence")]


def test_the_history_cannot_be_changed(engine: Engine) -> None:
    settle(engine, 1, found(True))
    for statement in ("UPDATE alert_events SET by_whom = 'x'", "DELETE FROM alert_events"):
        with pytest.raises(DBAPIError), tampering(engine) as connection:
            connection.execute(text(statement))


def test_the_command_lists_acknowledges_and_resolves(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, settings)
    (alert,) = settle(engine, 1, found(True)).opened

    def stence(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["alerts", *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    assert "device_gain" in stence("list")
    stence("acknowledge", str(alert.id), "--by", "B. Engineer")
    assert "B. Engineer" in stence("list")
    stence("resolve", str(alert.id), "--by", "B. Engineer", "--note", "mended")
    assert "device_gain" not in stence("list")
    assert "device_gain" in stence("list", "--all")
    refused = CliRunner().invoke(main, ["alerts", "resolve", str(alert.id), "--by", "B. Engineer"])
    assert refused.exit_code == 1
    assert "is resolved" in refused.output


DAYS = [FIRST_DAY + timedelta(days=number) for number in range(28, 31)]


THRESHOLDS = {
    target: {"value": 0.6 if target == "stenosis_70" else 0.99, "rule": "r"} for target in TARGET_NAMES
}
RUNS = """
INSERT INTO runs (id, model_version, preprocessing_version, state, code_version, device, host, started_at,
                  finished_at, scored_by_run, quarantined_by_run)
SELECT gen_random_uuid(), 'model-1', 'p1', 'finished', '0', 'cpu', 'here', ended - interval '1 minute', ended,
       400, 0
FROM generate_series(CAST(:first AS timestamptz), CAST(:first AS timestamptz) + interval '40 days',
                     interval '1 day') AS ended
"""
SCORED = """
INSERT INTO worklist (object_id, model_version, etag, state, changed_at)
SELECT id, 'model-1', etag, 'scored', changed_at FROM objects
ON CONFLICT DO NOTHING
"""


@pytest.fixture
def hospital(engine: Engine) -> Routine:
    """Four weeks and three days, sound, scored by the champion in a run late each evening."""
    routine = Routine(engine)
    routine.crown("model-1")
    with tampering(engine) as connection:
        whole = models.c.manifest.op("||")(cast({"thresholds": THRESHOLDS}, JSONB))
        connection.execute(update(models).values(manifest=whole))
        connection.execute(text(RUNS), {"first": datetime.combine(FIRST_DAY, time(23, 30), UTC)})
    routine.write(0, 31)
    end_worklist(engine)
    return routine


def end_worklist(engine: Engine) -> None:
    """Nothing waits for its score."""
    with tampering(engine) as connection:
        connection.execute(text(SCORED))


def rows(engine: Engine) -> list[Any]:
    m = monitoring_metrics.c
    found = select(m.name, m.slice_key, m.slice_value, m.value, m.window_start, m.window_end)
    with engine.connect() as connection:
        return sorted(map(str, connection.execute(found.where(m.run_id.is_(None)))))


@pytest.mark.slow
def test_a_look_writes_every_part_and_raises_nothing_on_sound_days(
    hospital: Routine, engine: Engine, settings: Settings
) -> None:
    from stence.monitoring.names import NAMES

    seen = daily.watch(engine, settings, DAYS)
    assert (seen.failed, [alert.detail for alert in seen.opened]) == ([], [])
    written = rows(engine)
    assert len(written) == seen.metrics > 1000
    with engine.connect() as connection:
        names = set(connection.scalars(select(monitoring_metrics.c.name).distinct()))
        run = connection.execute(select(monitor_runs)).one()
    assert names <= NAMES.keys()
    assert {
        "ecgs_arrived",
        "input_ks_p",
        "embedding_mmd_p",
        "score_mean_p",
        "flag_rate",
        "report_ks",
    } <= names
    assert (run.state, run.days, run.metrics, run.error) == ("finished", 3, seen.metrics, None)

    daily.watch(engine, settings, DAYS)
    assert rows(engine) == written


def broken(engine: Engine, settings: Settings, window: Window, model: Watched) -> Iterator[Metric]:
    yield Metric("score_mean", 0.5, model_version=model.version)
    raise ZeroDivisionError("PAT-1 divided by zero")


@pytest.mark.slow
def test_a_part_that_fails_is_an_alert_and_stops_no_other(
    hospital: Routine, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    daily.watch(engine, settings, DAYS[:1])
    measured = rows(engine)
    with monkeypatch.context() as patch:
        parts = tuple(
            part._replace(measure=broken) if part.name == "scores" else part for part in daily.PARTS
        )
        patch.setattr(daily, "PARTS", parts)
        seen = daily.watch(engine, settings, DAYS[:1])
    (alert,) = seen.opened
    assert (alert.rule, alert.slice_value) == ("part_failed", "scores")
    with engine.connect() as connection:
        error = connection.scalar(select(monitor_runs.c.error).order_by(monitor_runs.c.started_at.desc()))
    assert error.startswith(f"{DAYS[0]} scores of model-1: ZeroDivisionError at test_alerts.py:")
    assert "PAT-1" not in error
    names = {row.split("'")[1] for row in rows(engine)}
    assert {"input_ks", "flag_rate"} <= names
    assert "score_mean" in names, "what was measured of it before stays"

    assert [alert.rule for alert in daily.watch(engine, settings, DAYS[:1]).resolved] == ["part_failed"]
    assert rows(engine) == measured


@pytest.mark.slow
def test_a_planted_fault_is_one_alert_until_it_is_mended(
    hospital: Routine, engine: Engine, settings: Settings
) -> None:
    def gain(rng: Any, ecg: Any) -> Any:
        if ecg.device != "Cardio 200":
            return ecg
        return replace(ecg, r_mv=2 * ecg.r_mv, s_mv=2 * ecg.s_mv, noise_uv=2 * ecg.noise_uv)

    def of(number: int) -> date:
        return FIRST_DAY + timedelta(days=number)

    hospital.write(31, 2, change=gain)
    hospital.write(33, change=sound)
    end_worklist(engine)
    seen = daily.watch(engine, settings, [of(31)])
    assert [(a.rule, a.slice_value) for a in seen.opened] == [("device_gain", "Cardio 200")]
    seen = daily.watch(engine, settings, [of(31), of(32)])
    assert (seen.opened, seen.resolved) == ([], [])
    seen = daily.watch(engine, settings, [of(31), of(32), of(33)])
    assert (len(seen.opened), [a.rule for a in seen.resolved]) == (0, ["device_gain"])


def test_without_a_champion_it_says_what_to_do(engine: Engine, settings: Settings) -> None:
    with pytest.raises(MonitoringError, match="stence models promote"):
        daily.watch(engine, settings, DAYS)
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).where(monitor_runs.c.state == "failed")) == 1


@pytest.mark.parametrize(("zone", "last"), [("UTC", date(2026, 3, 1)), ("Asia/Tokyo", date(2026, 3, 2))])
def test_the_days_are_those_that_are_over_at_the_hospital(settings: Settings, zone: str, last: date) -> None:
    here = settings.model_copy(update={"timezone": zone})
    days = daily.complete_days(here, datetime(2026, 3, 2, 20, tzinfo=UTC))
    assert days == [last - timedelta(days=back) for back in (2, 1, 0)]
