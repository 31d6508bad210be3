"""A promotion needs two people where the settings say so: by command, by login, and by a form in Prefect."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DBAPIError

from stence import database, registry
from stence.cli import main
from stence.database import queries
from stence.errors import RegistryError
from stence.registry import approvals
from stence.settings import Settings
from support.database import tampering
from support.environment import set_environment
from support.models import ShapeScorer, register

ADA, BOB = ("--by", "Ada", "--why", "better"), ("--by", "Bob", "--why", "I looked at its card")
LOGIN = "second_person"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"two_person_approval": True})


@pytest.fixture
def models(engine: Engine) -> None:
    """A champion and a candidate."""
    register(engine, ShapeScorer("old"))
    register(engine, ShapeScorer("new"), state="candidate")


@pytest.fixture
def stence(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run ``stence models …``."""
    set_environment(monkeypatch, settings)
    monkeypatch.setenv("STENCE_TWO_PERSON_APPROVAL", "true")
    return lambda *arguments: CliRunner().invoke(main, ["models", *arguments])


@pytest.fixture
def second_login(engine: Engine, postgres: Engine, settings: Settings) -> Any:
    """Settings of another login of Postgres, an approver's."""
    assert settings.database_url
    with tampering(engine) as connection:
        if not connection.scalar(
            text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :n)"), {"n": LOGIN}
        ):
            connection.execute(text(f"CREATE ROLE {LOGIN} LOGIN"))
        connection.execute(text(f"GRANT stence_approver TO {LOGIN}"))
    url = make_url(settings.database_url.get_secret_value()).set(username=LOGIN)
    return settings.model_copy(update={"database_url": SecretStr(url.render_as_string(hide_password=False))})


@contextmanager
def connected(settings: Settings) -> Any:
    with database.connect(settings) as engine, engine.begin() as connection:
        yield connection


def champion(engine: Engine) -> str:
    with engine.connect() as connection:
        found = registry.champion(connection)
    assert found
    return found.version


def events(engine: Engine) -> list[tuple[str, str]]:
    with engine.connect() as connection:
        columns, rows = queries.run(connection, "promotion_requests", {})
    assert list(columns)[:3] == ["version", "event", "person"]
    return [(event, person) for _, event, person, *_ in reversed(rows)]


def test_two_people_with_two_logins_promote(
    models: None, engine: Engine, stence: Any, second_login: Settings
) -> None:
    refused = stence("promote", "new", *ADA)
    assert refused.exit_code == 1
    assert "needs a second person" in refused.output
    assert stence("request", "new", *ADA).exit_code == 0
    assert stence("request", "new", *BOB).exit_code == 1  # one request at a time
    assert stence("promote", "new", *ADA).exit_code == 1
    same_login = stence("approve", "new", *BOB)
    assert same_login.exit_code == 1
    assert "same login" in " ".join(same_login.output.split())
    with pytest.raises(RegistryError, match="Another person"), connected(second_login) as connection:
        approvals.answer(connection, "new", approve=True, by=" ada ", why="again")
    with connected(second_login) as connection:
        approvals.answer(connection, "new", approve=True, by="Bob", why="I looked at its card")
    assert champion(engine) == "old"
    assert stence("promote", "new", *ADA).exit_code == 0
    assert champion(engine) == "new"
    assert events(engine) == [("requested", "Ada"), ("approved", "Bob"), ("promoted", "Ada")]
    assert "approved" in stence("requests").output
    with engine.connect() as connection:
        entries = connection.execute(
            text("SELECT action, person, login FROM audit.entries ORDER BY id")
        ).all()
    told = [tuple(entry) for entry in entries if entry.action.startswith("promotion.")]
    assert told[1] == ("promotion.approved", "Bob", LOGIN)


def test_an_approval_holds_once_and_a_refusal_ends_a_request(
    models: None, engine: Engine, stence: Any
) -> None:
    with engine.begin() as connection:
        registry.request_promotion(connection, "new", by="stence", why="better in shadow")
        approvals.answer(connection, "new", approve=True, by="Bob", why="yes")
    assert stence("promote", "new", *BOB).exit_code == 0
    with engine.begin() as connection:
        registry.rollback(connection, by="Bob", why="no good")
        with pytest.raises(RegistryError, match="retired"):
            registry.request_promotion(connection, "new", by="Ada", why="again")
    register(engine, ShapeScorer("newer"), state="candidate")
    assert stence("request", "newer", *ADA).exit_code == 0
    assert stence("approve", "newer", *ADA, "--refuse").exit_code == 0  # whoever asked may take it back
    assert stence("approve", "newer", *BOB).exit_code == 1
    assert stence("promote", "newer", *ADA).exit_code == 1


@pytest.mark.parametrize("person", ["stence", " Stence ", ""])
def test_stence_itself_approves_nothing(models: None, engine: Engine, person: str) -> None:
    with engine.begin() as connection:
        registry.request_promotion(connection, "new", by="stence", why="better in shadow")
        with pytest.raises(RegistryError):
            approvals.answer(connection, "new", approve=True, by=person, why="yes")


def test_without_the_setting_one_person_promotes(
    models: None, engine: Engine, stence: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STENCE_TWO_PERSON_APPROVAL", "false")
    assert stence("promote", "new", *ADA).exit_code == 0
    assert champion(engine) == "new"


def test_the_requests_are_append_only(models: None, engine: Engine) -> None:
    with engine.begin() as connection:
        registry.request_promotion(connection, "new", by="Ada", why="better")
    with pytest.raises(DBAPIError, match="append-only"), tampering(engine) as connection:
        connection.execute(text("UPDATE promotion_requests SET event = 'approved'"))


@pytest.mark.slow
@pytest.mark.parametrize(("approve", "becomes"), [(True, "new"), (False, "old")])
def test_the_form_in_prefect_goes_on_with_the_answer(
    models: None, engine: Engine, stence: Any, client: Any, approve: bool, becomes: str
) -> None:
    with engine.begin() as connection:
        registry.request_promotion(connection, "new", by="stence", why="better in shadow")
    run_id = suspended_run(client)
    assert champion(engine) == "old"
    assert client.read_flow_run(run_id).state.is_paused()
    answer(run_id, {"approve": approve, "name": "Bob", "reason": "I looked at its card"})
    assert carried_out(client, run_id).state.is_completed()
    assert champion(engine) == becomes
    assert events(engine)[1] == ("approved" if approve else "refused", "Bob")


@pytest.mark.slow
def test_the_form_is_typed_and_without_a_request_there_is_none(
    models: None, engine: Engine, stence: Any, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    assert client.read_flow_run(suspended_run(client)).state.is_failed()
    with engine.begin() as connection:
        registry.request_promotion(connection, "new", by="stence", why="better in shadow")
    run_id = suspended_run(client)
    with pytest.raises(Exception, match="reason"):
        answer(run_id, {"approve": True, "name": "Bob"})
    assert client.read_flow_run(run_id).state.is_paused()


def suspended_run(client: Any) -> UUID:
    """A run of the deployment, up to its form."""
    from stence.flows.promote import promote

    flow_id = client.create_flow(promote)
    deployment = client.create_deployment(flow_id=flow_id, name="promote-model")
    run = client.create_flow_run_from_deployment(deployment, parameters={"version": "new"})
    carried_out(client, run.id)
    return run.id


def carried_out(client: Any, run_id: UUID) -> Any:
    """The run, after a process has worked on it as a runner does."""
    from prefect.exceptions import Pause
    from prefect.flow_engine import run_flow

    from stence.flows.promote import promote

    run = client.read_flow_run(run_id)
    with suppress(Pause):
        run_flow(promote, flow_run=run, parameters=run.parameters, return_type="state")
    return client.read_flow_run(run_id)


def answer(run_id: UUID, form: dict[str, Any]) -> None:
    """Fill in the form, as the UI does."""
    from prefect.flow_runs import resume_flow_run

    resume_flow_run(run_id, run_input=form)


def test_nobody_requests_in_the_name_of_stence(models: None, stence: Any, second_login: Settings) -> None:
    """Its requests may be approved from any login: one person would be two."""
    said = stence("request", "new", "--by", " Stence ", "--why", "better")
    assert said.exit_code == 2
    with pytest.raises(RegistryError, match="in the name of stence"), connected(second_login) as connection:
        approvals.request(connection, "new", by="stence", why="better")
