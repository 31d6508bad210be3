"""Logins of a hospital's server: who migrates the schema, and as whom the flows act."""

from __future__ import annotations

import os
import subprocess
import sys

import psycopg
import pytest
from click.testing import CliRunner
from pydantic import SecretStr
from sqlalchemy import Engine, text

from stence import database
from stence.cli import main
from stence.cli.doctor import roles
from stence.database.embedded import programs
from stence.errors import ConfigurationError
from stence.resources import sql_folder
from stence.settings import Settings
from support.bare_server import bare_server, of
from support.environment import set_environment
from support.roles import make_logins
from support.waiting import wait_until

ACTING = text("SELECT current_user, session_user")


def at(settings: Settings, login: str) -> SecretStr:
    """The URL of the settings with another login."""
    assert settings.database_url is not None
    return SecretStr(settings.database_url.get_secret_value().replace("postgres@", f"{login}@"))


@pytest.mark.slow
def test_databases_that_are_migrated_at_once_share_their_roles() -> None:
    names = [f"ward_{number}" for number in range(4)]
    with bare_server(*(f"CREATE DATABASE {name}" for name in names)) as server:
        processes = [migrating(of(server, "postgres", name)) for name in names]
        assert [process.wait() for process in processes] == [0] * len(names)


@pytest.mark.slow
def test_a_role_that_another_migration_is_just_making_is_waited_for() -> None:
    with bare_server("CREATE DATABASE ward_1") as server:
        with psycopg.connect(host=str(server.socket_folder), user="postgres") as other:
            other.execute("CREATE ROLE stence_owner NOLOGIN")
            process = migrating(of(server, "postgres", "ward_1"))
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            wait_until(lambda: other.execute(waits).fetchall() == [(1,)] or process.poll() is not None)
            assert process.poll() is None
        assert process.wait() == 0


def migrating(settings: Settings) -> subprocess.Popen[bytes]:
    """``stence migrate`` at work on the database of the settings."""
    assert settings.database_url is not None
    command = [sys.executable, "-c", "from stence.cli import main; main()", "migrate"]
    url = settings.database_url.get_secret_value()
    return subprocess.Popen(command, env=os.environ | {"STENCE_DATABASE_URL": url})


@pytest.mark.slow
@pytest.mark.parametrize("may", ["NOCREATEROLE", "CREATEROLE"])
def test_a_login_without_superuser_rights_migrates(may: str) -> None:
    with bare_server(f"CREATE ROLE plain LOGIN {may}", "CREATE DATABASE own OWNER plain") as server:
        settings = of(server, "plain", "own")
        if may == "NOCREATEROLE":
            with pytest.raises(ConfigurationError, match=r"permission denied to create role.*roles\.sql"):
                database.connect(settings).__enter__()
            command = [
                programs() / "psql",
                "-X",
                "-v",
                "ON_ERROR_STOP=1",
                "-v",
                "login=plain",
                "-U",
                "postgres",
            ]
            where = ["-h", server.socket_folder, "-d", "own", "-f", sql_folder() / "roles.sql"]
            subprocess.run([*command, *where], check=True, capture_output=True)
        with database.connect(settings) as engine, engine.connect() as connection:
            assert connection.execute(ACTING).one() == ("stence_writer", "plain")
            owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('public', 'audit')"
            assert list(connection.scalars(text(owners))) == ["stence_owner"]


def test_a_login_of_the_flows_alone_does_not_migrate(
    settings: Settings, owner_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with owner_engine.begin() as connection:
        make_logins(connection, flows_only="writer", migrating="owner")
    flows = settings.model_copy(update={"database_url": at(settings, "flows_only")})
    with database.connect(flows) as engine, engine.connect() as connection:
        assert connection.execute(ACTING).one() == ("stence_writer", "flows_only")
    with owner_engine.begin() as connection:
        connection.execute(text("DELETE FROM schema_grants"))
    with pytest.raises(ConfigurationError, match="flows_only may not do this: run stence migrate"):
        database.connect(flows).__enter__()
    set_environment(monkeypatch, flows.model_copy(update={"owner_url": at(settings, "migrating")}))
    done = CliRunner().invoke(main, ["migrate"])
    assert done.exit_code == 0, done.output
    with database.connect(flows):
        pass


def test_the_owner_and_a_stranger_do_not_run_flows(settings: Settings, owner_engine: Engine) -> None:
    with owner_engine.begin() as connection:
        make_logins(connection, migrating="owner")
        connection.exec_driver_sql("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN")
    for login in ("migrating", "stranger"):
        with pytest.raises(ConfigurationError, match=f'GRANT stence_writer TO "{login}"|permission denied'):
            database.connect(settings.model_copy(update={"database_url": at(settings, login)})).__enter__()


def test_doctor_says_as_whom_the_flows_act(settings: Settings, owner_engine: Engine) -> None:
    with owner_engine.begin() as connection:
        make_logins(connection, flows_only="writer")
    flows = settings.model_copy(update={"database_url": at(settings, "flows_only")})
    with database.connect(flows) as engine:
        assert roles(engine, flows) == "the flows act as stence_writer, with the login flows_only"
    with database.connect(settings) as engine:
        assert "with the login postgres, which is a superuser" in roles(engine, settings)


def test_access_is_granted_listed_and_revoked(
    settings: Settings, owner_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with owner_engine.begin() as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS ben; CREATE ROLE ben LOGIN")
    set_environment(monkeypatch, settings)
    run, why = CliRunner(), ["--by", "Dr A", "--why", "works there"]
    assert (
        "no login nobody_known"
        in run.invoke(main, ["access", "grant", "nobody_known", "--site", "x", *why]).output
    )
    done = run.invoke(main, ["access", "grant", "ben", "--site", "north", *why])
    assert done.output == "ben sees the patients of north. No ECG of this site is known yet.\n"
    assert "north" in run.invoke(main, ["access", "list"]).output
    with owner_engine.connect() as connection:
        assert connection.scalar(text("SELECT pg_has_role('ben', 'stence_clinician', 'MEMBER')"))
        audited = connection.execute(text("SELECT action, subject, person, reason FROM audit.entries")).all()
    assert audited == [("access.granted", "ben", "Dr A", "works there")]
    assert run.invoke(main, ["access", "revoke", "ben", "--site", "north", *why]).exit_code == 0
    assert "north" not in run.invoke(main, ["access", "list"]).output
