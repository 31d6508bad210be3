"""Connections to any Postgres, waiting for it, and loading rows."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine

from stence import database
from stence.database import copy_rows, retry_outages
from stence.errors import ConfigurationError, DatabaseUnavailableError
from stence.settings import Settings
from support.database import tampering, url_of
from support.ports import free_port
from support.waiting import wait_until


def at(url: str) -> Settings:
    return Settings(database_url=SecretStr(url))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_any_usual_form_of_the_url_is_taken(settings: Settings, scheme: str) -> None:
    assert settings.database_url is not None
    url = make_url(settings.database_url.get_secret_value()).set(drivername=scheme)
    with database.connect(at(url.render_as_string(hide_password=False))) as engine, engine.connect() as c:
        assert c.scalar(text("SHOW timezone")) == "UTC"
        assert c.scalar(text("SHOW application_name")) == "stence"


@pytest.mark.parametrize(
    "url", ["mysql://user:geheim@host/db", "user:geheim@host", "postgresql://u:ge:heim@h:x/"]
)
def test_a_url_that_is_none_is_named_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="STENCE_DATABASE_URL") as caught, database.connect(at(url)):
        pass
    assert "heim" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    port = free_port()
    with (
        pytest.raises(DatabaseUnavailableError, match=f"{port}.*refused") as caught,
        database.connect(at(f"postgresql://user:geheim@127.0.0.1:{port}/db")),
    ):
        pass
    assert "geheim" not in str(caught.value)


def test_a_database_that_does_not_exist_is_told(postgres: Engine) -> None:
    with (
        pytest.raises(DatabaseUnavailableError, match='database "nowhere" does not exist'),
        database.connect(at(url_of(postgres, "nowhere"))),
    ):
        pass


def test_errors_do_not_show_parameters(engine: Engine) -> None:
    with pytest.raises(DBAPIError) as caught, engine.connect() as connection:
        connection.execute(
            text("SELECT 1 / CAST(:zero AS int), :patient"), {"zero": 0, "patient": "p1234567"}
        )
    assert "p1234567" not in str(caught.value)


def test_a_database_for_others_is_created_once_and_answers_asyncpg(engine: Engine) -> None:
    name = f"other {uuid.uuid4()}"
    url = database.create_database(engine, name)
    assert database.create_database(engine, name) == url

    async def ask() -> Any:
        async_engine = create_async_engine(url)
        async with async_engine.connect() as connection:
            answer = await connection.scalar(text("SELECT current_database()"))
        await async_engine.dispose()
        return answer

    assert asyncio.run(ask()) == name


def test_rows_are_copied_as_they_are(engine: Engine) -> None:
    rows = [
        (
            1,
            b"\x00\xff",
            "tab\t, newline\n, \\N and 'quotes'",
            0.1 + 0.2,
            ["a", 'b"', None],
            datetime.now(UTC),
        ),
        (2, b"", None, 5e-324, [], None),
    ]
    columns = ["number", "content", "name", "value", "remarks", "moment"]
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TEMP TABLE staged (moment timestamptz, number bigint, content bytea, name text,"
                " value double precision, remarks text[]) ON COMMIT DROP"
            )
        )
        assert copy_rows(connection, "staged", columns, iter(rows)) == 2
        found = connection.execute(
            text("SELECT number, content, name, value, remarks, moment FROM staged ORDER BY number")
        ).all()
    assert [tuple(row) for row in found] == rows


def test_the_servers_log_does_not_tell_why_rows_broke_off(owner_engine: Engine) -> None:
    """psycopg sends the server the text of whatever is raised while it copies."""
    marker = f"P-{uuid.uuid4().hex}"

    def rows() -> Iterator[tuple[str, ...]]:
        yield ("a", "1", "0", "0")
        raise KeyError(marker)

    with owner_engine.connect() as connection:
        log = Path(str(connection.scalar(text("SHOW data_directory")))).parent / "postgres.log"
        with pytest.raises(KeyError, match=marker):
            copy_rows(connection, "manifests", ["key", "etag", "rows_read", "rows_refused"], rows())
    wait_until(lambda: "the source of the rows broke off" in log.read_text())
    assert marker not in log.read_text()


def test_a_row_that_does_not_fit_takes_the_whole_copy_with_it(engine: Engine) -> None:
    columns = ["key", "etag", "rows_read", "rows_refused"]
    rows = [("a", "1", 1, 0), ("b", None, 1, 0)]
    with pytest.raises(psycopg.errors.NotNullViolation), engine.begin() as connection:
        copy_rows(connection, "manifests", columns, rows)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM manifests")) == 0


@pytest.mark.slow
def test_a_lost_connection_is_tried_again(engine: Engine) -> None:
    attempts = []

    def action() -> int | None:
        with engine.begin() as connection:
            attempts.append(connection.scalar(text("SELECT pg_backend_pid()")))
            if len(attempts) < 3:
                with tampering(engine) as other:
                    other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": attempts[-1]})
            if len(attempts) == 1:  # one way to notice is COPY, the other a statement
                copy_rows(connection, "manifests", ["key"], [("a",)])
            return connection.scalar(text("SELECT 7"))

    assert retry_outages(action, 30) == 7
    assert len(set(attempts)) == 3


def test_retries_end_with_a_clear_message() -> None:
    def action() -> None:
        psycopg.connect("host=127.0.0.1 port=1 password=geheim")

    start = time.monotonic()
    with pytest.raises(DatabaseUnavailableError, match=r"Postgres does not answer .*refused") as caught:
        retry_outages(action, 0.5)
    assert 0.5 <= time.monotonic() - start < 5
    assert "geheim" not in str(caught.value)


def test_a_wrong_statement_is_not_tried_again(engine: Engine) -> None:
    attempts = []

    def action() -> None:
        attempts.append(1)
        with engine.connect() as connection:
            connection.execute(text("SELECT FROM nowhere"))

    with pytest.raises(ProgrammingError):
        retry_outages(action, 30)
    assert len(attempts) == 1
