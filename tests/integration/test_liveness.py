"""Score runs that do not come are told within the hour, from Postgres, beside what the daily look finds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from stence.errors import ConfigurationError
from stence.monitoring import daily, liveness
from stence.monitoring.alerts import Settled
from stence.settings import Settings
from support.database import tampering
from support.routine import Routine

RUN = """
INSERT INTO runs (id, model_version, preprocessing_version, state, code_version, device, host, started_at,
                  finished_at, scored_by_run, quarantined_by_run)
VALUES (gen_random_uuid(), 'model-1', 'p1', :state, '0', 'cpu', 'here', now() - :ago, now() - :ago, 1, 0)
"""


@pytest.fixture
def crowned(engine: Engine) -> Engine:
    """A database whose champion came ten days ago."""
    Routine(engine).crown("model-1")
    with tampering(engine) as connection:
        connection.execute(text("UPDATE models SET created_at = now() - interval '10 days'"))
    return engine


def run_ended(engine: Engine, ago: timedelta, state: str = "finished") -> None:
    with tampering(engine) as connection:
        connection.execute(text(RUN), {"ago": ago, "state": state})


def rules(changed: list) -> list[str]:
    return [alert.rule for alert in changed]


def test_an_alert_opens_in_the_hour_and_resolves_itself_with_the_next_run(
    crowned: Engine, settings: Settings
) -> None:
    run_ended(crowned, timedelta(hours=2.9))
    assert liveness.check(crowned, settings) == Settled([], [])

    with crowned.begin() as connection:
        connection.execute(text("UPDATE runs SET finished_at = now() - interval '3.1 hours'"))
    run_ended(crowned, timedelta(hours=1), "failed")
    opened = liveness.check(crowned, settings).opened
    assert rules(opened) == ["no_run"]
    assert opened[0].severity == "critical"
    assert "3.1" in opened[0].detail
    assert liveness.check(crowned, settings) == Settled([], [])

    run_ended(crowned, timedelta(minutes=1))
    assert rules(liveness.check(crowned, settings).resolved) == ["no_run"]


def test_the_daily_look_neither_raises_what_is_over_nor_resolves_what_is_not(
    crowned: Engine, settings: Settings
) -> None:
    """It looks at days that are over: at their end no run may have come, or one may."""
    yesterday = [datetime.now(UTC).date() - timedelta(days=1)]
    run_ended(crowned, timedelta(minutes=1))
    seen = daily.watch(crowned, settings, yesterday)
    assert "no_run" not in rules(seen.opened)
    with tampering(crowned) as connection:
        connection.execute(text("DELETE FROM runs"))
    assert rules(liveness.check(crowned, settings).opened) == ["no_run"]
    assert "no_run" not in rules(daily.watch(crowned, settings, yesterday).resolved)


def test_without_a_champion_no_run_is_due(engine: Engine, settings: Settings) -> None:
    assert liveness.check(engine, settings) == Settled([], [])


def test_only_the_champions_runs_are_due(crowned: Engine, settings: Settings) -> None:
    """A model in shadow scores after the champion, if at all."""
    run_ended(crowned, timedelta(minutes=1))
    with crowned.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO models (version, state, folder, sha256, preprocessing_version, manifest,"
                " created_at) SELECT 'shade', 'shadow', folder, sha256, preprocessing_version, manifest,"
                " created_at FROM models"
            )
        )
    assert liveness.check(crowned, settings) == Settled([], [])


def test_own_rules_are_asked(crowned: Engine, settings: Settings, tmp_path: Path) -> None:
    """Also one that asks for several days in a row: every look is by how it stands now."""
    own = tmp_path / "rules.yaml"
    mine = settings.model_copy(update={"alert_rules": own})
    rule = "{when: hours_since_run > %d, for_days: 2, severity: info, means: Late., do: Wait.}"
    own.write_text(f"late: {rule % 300}")
    assert liveness.check(crowned, mine) == Settled([], [])
    own.write_text(f"late: {rule % 200}")
    assert rules(liveness.check(crowned, mine).opened) == ["late"]
    own.write_text("late: nonsense")
    with pytest.raises(ConfigurationError):
        liveness.check(crowned, mine)
