"""A hospital's own Postgres: other defaults, other encodings, a pool in between, and secrets in its URL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from pydantic import SecretStr
from sqlalchemy import Engine, make_url, text

from stence import database
from stence.cli import main
from stence.errors import ConfigurationError, StenceError
from stence.objects import ObjectStore
from stence.settings import Settings
from support.database import tampering, url_of
from support.ecgs import heartbeats, store_ecg
from support.environment import set_environment
from support.models import ShapeScorer
from support.pgbouncer import needs_pgbouncer, pooled
from support.pseudonyms import pseudonym
from support.scoring import run_scorer

DEFAULTS = {
    "default_transaction_isolation": "serializable",
    "timezone": "America/New_York",
    "datestyle": "German, DMY",
    "intervalstyle": "sql_standard",
    "client_encoding": "LATIN1",
    "extra_float_digits": "-3",
}
"""What a hospital may have set for its server, a database or a role, for the sake of another program."""


def at(url: SecretStr | str) -> Settings:
    return Settings(database_url=SecretStr(url) if isinstance(url, str) else url)


@pytest.fixture
def set_otherwise(postgres: Engine, settings: Settings) -> Settings:
    """Settings of a database with other defaults."""
    assert settings.database_url is not None
    name = make_url(settings.database_url.get_secret_value()).database
    with postgres.begin() as connection:
        for setting, value in DEFAULTS.items():
            connection.execute(text(f"ALTER DATABASE {name} SET {setting} = '{value}'"))
    return settings


def test_the_servers_defaults_decide_nothing(set_otherwise: Settings) -> None:
    with database.connect(set_otherwise) as engine, engine.connect() as connection:
        assert connection.scalar(text("SHOW transaction_isolation")) == "read committed"
        assert connection.scalar(text("SHOW timezone")) == "UTC"
        assert connection.scalar(text("SHOW client_encoding")) == "UTF8"
        row = connection.execute(
            text("SELECT now(), interval '1 day', CAST(0.1 AS float8) + CAST(0.2 AS float8), 'Łukasz'")
        ).one()
    assert (row[0].tzname(), row[1].days, row[2], row[3]) == ("UTC", 1, 0.1 + 0.2, "Łukasz")


@pytest.mark.slow
def test_two_scorers_share_a_worklist_where_serializable_is_the_default(
    set_otherwise: Settings, store: ObjectStore
) -> None:
    quick = set_otherwise.model_copy(update={"batch_size": 4, "prefetch_batches": 1, "lease_seconds": 30})
    for number in range(60):
        store_ecg(store, f"ecg/{number}.hea", heartbeats(number), comments=(f"<subject_id>: p{number}",))
    with database.connect(quick) as engine:
        summaries = run_together(lambda: run_scorer(engine, store, quick, ShapeScorer()), scorers=2)
    assert sum(summary.scored_by_run for summary in summaries) == 60
    assert all(summary.pending == 0 for summary in summaries)
    assert max(summary.seconds for summary in summaries) < 25  # none waits for a lease of the other


def run_together(action: Callable[[], Any], scorers: int) -> list[Any]:
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(action())) for _ in range(scorers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == scorers
    return found


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def encoded(request: pytest.FixtureRequest, postgres: Engine) -> Iterator[tuple[str, str]]:
    """An encoding, and the URL of a database in it."""
    encoding = request.param
    name = f"in_{encoding.lower()}"
    options = "TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'"
    with postgres.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name} ENCODING '{encoding}' {options}"))
        yield encoding, url_of(postgres, name)
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def test_another_encoding_is_refused_in_words(encoded: tuple[str, str]) -> None:
    encoding, url = encoded
    with (
        pytest.raises(ConfigurationError, match=f"is in {encoding}.* needs UTF8.*ENCODING 'UTF8'"),
        database.connect(at(url)),
    ):
        pass


def test_the_doctor_names_another_encoding(
    encoded: tuple[str, str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, settings)
    monkeypatch.setenv("STENCE_DATABASE_URL", encoded[1])
    said = CliRunner().invoke(main, ["doctor"]).output
    assert f"FAIL  database: Database in_{encoded[0].lower()}" in said
    assert "Traceback" not in said


@needs_pgbouncer
def test_scorers_work_through_a_pool_of_sessions(
    settings: Settings, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.database_url is not None
    for number in range(40):
        store_ecg(store, f"ecg/{number}.hea", heartbeats(number), comments=(f"<subject_id>: p{number}",))
    with pooled(settings.database_url, "session") as url:
        through = settings.model_copy(update={"database_url": url, "batch_size": 4, "prefetch_batches": 1})
        with database.connect(through) as engine:
            with engine.connect() as connection:
                assert connection.scalar(text("SHOW timezone")) == "UTC"
            summaries = run_together(lambda: run_scorer(engine, store, through, ShapeScorer()), scorers=2)
        set_environment(monkeypatch, through)
        assert ", through a pool of sessions" in CliRunner().invoke(main, ["doctor"]).output
    assert sum(summary.scored_by_run for summary in summaries) == 40


@needs_pgbouncer
@pytest.mark.parametrize("pool_size", [1, 20])
@pytest.mark.parametrize("round_robin", [False, True])
def test_a_pool_of_transactions_is_refused_in_words(
    settings: Settings, pool_size: int, round_robin: bool
) -> None:
    assert settings.database_url is not None
    with (
        pooled(settings.database_url, "transaction", pool_size, round_robin=round_robin) as url,
        pytest.raises(ConfigurationError, match="pool_mode = session"),
        database.connect(at(url)),
    ):
        pass


@needs_pgbouncer
def test_a_pool_of_statements_is_refused_in_words(settings: Settings) -> None:
    assert settings.database_url is not None
    with (
        pooled(settings.database_url, "statement") as url,
        pytest.raises(StenceError, match="not allowed in statement pooling mode"),
        database.connect(at(url)),
    ):
        pass


SECRET = "geheim"  # noqa: S105 - it is none


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:pw@geheim@127.0.0.1:1/db",
        "postgresql://u:p@ge/geheim@127.0.0.1:1/db",
        "postgresql://u:p@127.0.0.1?geheim@127.0.0.1:1/db",
        "postgresql://127.0.0.1:1/db?user=u&password=geheim",
        "postgresql://u@127.0.0.1:1/db?passfile=/etc/geheim",
        "postgresql://u@127.0.0.1:1/db?service=geheim",
        "postgresql://u@127.0.0.1:1/db?sslpassword=geheim&sslkey=geheim.key",
        "postgresql://u@127.0.0.1:1/db?pasword=geheim",
        "postgresql://u:p@127.0.0.1:1/db?password=geheim&password=geheim2",
    ],
)
def test_secrets_of_a_url_are_in_no_message(
    url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StenceError) as caught, database.connect(at(url)):
        pass
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    set_environment(monkeypatch, settings)
    monkeypatch.setenv("STENCE_DATABASE_URL", url)
    result = CliRunner().invoke(main, ["doctor"])
    assert SECRET not in result.output
    assert "FAIL  database" in result.output


def test_a_password_among_the_options_opens_the_database_and_goes_to_prefect(settings: Settings) -> None:
    assert settings.database_url is not None
    given = (
        settings.database_url.get_secret_value().replace("postgres@", "") + "&user=postgres&password=geheim"
    )
    with database.connect(at(given)) as engine:
        assert SECRET not in repr(engine.url)
        assert make_url(database.create_database(engine, "for_prefect")).password == SECRET


TIMES = """
SELECT CAST(time AS timestamptz), CAST(time AS timestamp), CAST(time AS date), CAST(time AS date)
FROM unnest(CAST(:times AS text[])) AS time
"""


@pytest.mark.parametrize(
    "time", ["infinity", "-infinity", "0044-03-15 12:00 BC", "10000-01-01 00:00", "294276-12-31 23:59"]
)
def test_a_time_that_python_cannot_hold_is_no_time(engine: Engine, time: str) -> None:
    sound = "2026-03-01 08:30"
    with engine.connect() as connection:
        rows = connection.execute(text(TIMES), {"times": [sound, time]}).all()
    assert rows[0][0].isoformat() == "2026-03-01T08:30:00+00:00"
    assert rows[0][2].isoformat() == "2026-03-01"
    assert tuple(rows[1]) == (None,) * 4


@pytest.mark.slow
@pytest.mark.parametrize("time", ["infinity", "-infinity", "0001-01-01 00:00 BC", "9999-12-31 23:59-05"])
def test_one_bad_stored_time_ends_no_query_of_everybody(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    time: str,
) -> None:
    set_environment(monkeypatch, settings)
    for number in (1, 2):
        store_ecg(store, f"ecg/{number}.hea", heartbeats(number), comments=(f"<subject_id>: pat{number}",))
    run_scorer(engine, store, settings, ShapeScorer(threshold=0))
    with tampering(engine) as connection:
        connection.execute(
            text("UPDATE ecgs SET acquired_at = CAST(:time AS timestamptz) WHERE patient_id = :patient"),
            {"time": time, "patient": pseudonym("pat1")},
        )
    shown = CliRunner().invoke(main, ["query", "flagged_patients", "--csv"])
    assert shown.exit_code == 0, shown.output
    assert pseudonym("pat1") in shown.output
    assert pseudonym("pat2") in shown.output


def test_psycopg_itself_would_have_failed(engine: Engine) -> None:
    """So that the test above fails when the loaders are gone."""
    raw = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(raw) as connection, pytest.raises(psycopg.DataError):
        connection.execute("SELECT timestamptz 'infinity'").fetchall()
