"""Model versions: one champion, and a history that cannot lie."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from stence import registry
from stence.database.tables import model_events, models
from stence.errors import RegistryError
from stence.objects import ObjectStore
from stence.settings import Settings
from support.artefacts import register_candidates
from support.database import tampering


def promote(engine: Engine, version: str) -> None:
    with engine.begin() as connection:
        registry.promote(connection, version, by="ada", why="better")


def rollback(engine: Engine) -> str:
    with engine.begin() as connection:
        return registry.rollback(connection, by="bob", why="worse than thought").version


def states(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return dict(tuple(row) for row in connection.execute(select(models.c.version, models.c.state)))


def test_a_promoted_model_is_champion_and_the_one_before_retires(engine: Engine) -> None:
    register_candidates(engine, "a", "b")
    promote(engine, "a")
    promote(engine, "b")
    assert states(engine) == {"a": "retired", "b": "champion"}


def test_every_change_is_in_the_history_with_who_and_why(engine: Engine) -> None:
    register_candidates(engine, "a", "b")
    promote(engine, "a")
    promote(engine, "b")
    e = model_events.c
    with engine.connect() as connection:
        history = connection.execute(
            select(e.version, e.from_state, e.to_state, e.changed_by, e.reason).order_by(e.id)
        ).all()
    assert [tuple(row) for row in history] == [
        ("a", None, "candidate", "trainer", "trained"),
        ("b", None, "candidate", "trainer", "trained"),
        ("a", "candidate", "champion", "ada", "better"),
        ("a", "champion", "retired", "ada", "better"),
        ("b", "candidate", "champion", "ada", "better"),
    ]


def test_a_change_that_is_not_committed_leaves_no_trace(engine: Engine) -> None:
    register_candidates(engine, "a")
    with engine.connect() as connection:
        registry.promote(connection, "a", by="ada", why="better")
        connection.rollback()
        assert connection.scalar(text("SELECT count(*) FROM model_events")) == 1
    assert states(engine) == {"a": "candidate"}


def test_the_database_refuses_a_second_champion(engine: Engine) -> None:
    register_candidates(engine, "a", "b")
    promote(engine, "a")
    with pytest.raises(IntegrityError, match="models_one_champion"), tampering(engine) as connection:
        connection.execute(models.update().values(state="champion").where(models.c.version == "b"))


def test_two_who_promote_at_the_same_time_take_turns(engine: Engine) -> None:
    register_candidates(engine, "a", "b", "c")
    promote(engine, "a")
    second = threading.Thread(target=promote, args=(engine, "c"))
    with engine.begin() as connection:
        registry.promote(connection, "b", by="ada", why="better")
        second.start()
        second.join(0.5)
        assert second.is_alive()
    second.join(10)
    assert states(engine) == {"a": "retired", "b": "retired", "c": "champion"}
    assert rollback(engine) == "b"


# --- shadow, rejection --------------------------------------------------------------------------------------


def enshadow(engine: Engine, version: str) -> None:
    with engine.begin() as connection:
        registry.shadow(connection, version, by="gate", why="passed the gate")


def reject(engine: Engine, version: str) -> None:
    with engine.begin() as connection:
        registry.reject(connection, version, by="gate", why="failed the gate")


def last_event(engine: Engine) -> tuple[Any, ...]:
    e = model_events.c
    with engine.connect() as connection:
        statement = select(e.version, e.from_state, e.to_state, e.changed_by, e.reason)
        return tuple(connection.execute(statement.order_by(e.id.desc()).limit(1)).one())


def test_a_candidate_goes_into_shadow_and_from_there_becomes_champion(engine: Engine) -> None:
    register_candidates(engine, "a", "b")
    promote(engine, "a")
    enshadow(engine, "b")
    assert last_event(engine) == ("b", "candidate", "shadow", "gate", "passed the gate")
    with engine.connect() as connection:
        assert [shadow.version for shadow in registry.shadows(connection)] == ["b"]
    promote(engine, "b")
    assert states(engine) == {"a": "retired", "b": "champion"}
    assert rollback(engine) == "a"


@pytest.mark.parametrize("in_shadow", [False, True])
def test_a_rejected_model_never_comes_back(engine: Engine, in_shadow: bool) -> None:
    register_candidates(engine, "a")
    if in_shadow:
        enshadow(engine, "a")
    reject(engine, "a")
    before = "shadow" if in_shadow else "candidate"
    assert last_event(engine) == ("a", before, "rejected", "gate", "failed the gate")
    for change in (promote, enshadow, reject):
        with pytest.raises(RegistryError, match=r"a is rejected: it cannot .*model_decisions says why"):
            change(engine, "a")


@pytest.mark.parametrize("change", [enshadow, reject])
def test_neither_champion_nor_retired_nor_unknown_goes_into_shadow_or_is_rejected(
    engine: Engine, change: Any
) -> None:
    register_candidates(engine, "a", "b")
    promote(engine, "a")
    promote(engine, "b")
    for version, message in (("a", "a is retired"), ("b", "b is champion"), ("c", "no model version c")):
        with pytest.raises(RegistryError, match=message):
            change(engine, version)


def due(engine: Engine, days: float) -> list[str]:
    with engine.connect() as connection:
        return registry.due_shadows(connection, days)


def call_better(engine: Engine, *versions: str) -> None:
    """As the gate's verdict on them would have it."""
    better = text(
        "UPDATE models SET manifest = jsonb_set(manifest, '{gate}', :gate) WHERE version = :version"
    )
    with tampering(engine) as connection:
        for version in versions:
            connection.execute(better, {"gate": '{"better": true, "checks": []}', "version": version})


def test_a_shadow_is_due_after_its_days_and_the_newest_goes_first(engine: Engine) -> None:
    register_candidates(engine, "a", "b", "c")
    promote(engine, "a")
    call_better(engine, "b", "c")
    enshadow(engine, "c")
    enshadow(engine, "b")
    assert due(engine, 14) == []
    assert due(engine, 0) == ["b", "c"]


def test_a_shadow_that_is_merely_not_worse_waits_for_a_person(engine: Engine) -> None:
    register_candidates(engine, "a", "b")
    promote(engine, "a")
    enshadow(engine, "b")
    assert due(engine, 0) == []


def test_shadows_that_are_merely_not_worse_take_turns(engine: Engine) -> None:
    register_candidates(engine, "a", "b", "c", "d")
    promote(engine, "a")
    call_better(engine, "b")
    for version in "bcd":
        enshadow(engine, version)
    with engine.begin() as connection:
        assert registry.make_room(connection, "d", by="gate") == ["c"]
    assert states(engine) == {"a": "champion", "b": "shadow", "c": "candidate", "d": "shadow"}
    assert last_event(engine) == ("c", "shadow", "candidate", "gate", "d took its place in shadow")


def test_a_look_is_a_verdict_of_the_gate(engine: Engine) -> None:
    def days() -> float | None:
        with engine.connect() as connection:
            return registry.days_since_look(connection)

    assert days() is None
    register_candidates(engine, "a", "b")
    long_ago = text(
        "UPDATE models SET created_at = created_at - CAST(:age AS interval) WHERE version = :version"
    )
    with tampering(engine) as connection:
        connection.execute(long_ago, {"age": "30 days", "version": "a"})
    assert days() == pytest.approx(30, abs=0.1)
    call_better(engine, "b")
    assert days() == pytest.approx(0, abs=0.1)


def test_a_shadow_judged_against_an_earlier_champion_is_not_promoted_by_itself(engine: Engine) -> None:
    register_candidates(engine, "a", "b", "c")
    promote(engine, "a")
    call_better(engine, "b")
    enshadow(engine, "b")
    promote(engine, "c")
    assert due(engine, 0) == []
    promote(engine, "b")


def test_the_history_cannot_be_rewritten(engine: Engine) -> None:
    register_candidates(engine, "a")
    for change in ("UPDATE model_events SET reason = 'x'", "DELETE FROM model_events"):
        with pytest.raises(DBAPIError, match="append"), tampering(engine) as connection:
            connection.execute(text(change))


# --- rollback -----------------------------------------------------------------------------------------------


def test_rollback_goes_back_the_way_the_promotions_came(engine: Engine) -> None:
    register_candidates(engine, "a", "b", "c", "d")
    for version in "abc":
        promote(engine, version)
    assert rollback(engine) == "b"
    assert rollback(engine) == "a"
    promote(engine, "d")
    assert rollback(engine) == "a"
    assert states(engine) == {"a": "champion", "b": "retired", "c": "retired", "d": "retired"}
    with pytest.raises(RegistryError, match="a is the first champion"):
        rollback(engine)


def test_rollback_without_a_champion_is_told(engine: Engine) -> None:
    register_candidates(engine, "a")
    with pytest.raises(RegistryError, match="nothing to roll back"):
        rollback(engine)


@pytest.mark.parametrize(
    ("version", "message"),
    [("unknown", "no model version unknown"), ("a", "a is retired.*rollback"), ("b", "b is champion")],
)
def test_what_cannot_be_promoted_is_told(engine: Engine, version: str, message: str) -> None:
    register_candidates(engine, "a", "b")
    promote(engine, "a")
    promote(engine, "b")
    with pytest.raises(RegistryError, match=message):
        promote(engine, version)


def test_a_version_is_registered_once(engine: Engine) -> None:
    register_candidates(engine, "a")
    with pytest.raises(RegistryError, match="a is registered already"):
        register_candidates(engine, "a")


def test_without_a_champion_it_is_said_what_to_do(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    with pytest.raises(RegistryError, match=r"stence train.*stence models promote"):
        registry.load_champion(engine, store, settings)


# --- a verdict ----------------------------------------------------------------------------------------------


def forget_verdict(engine: Engine, version: str) -> None:
    """As before every training was judged."""
    without = text("UPDATE models SET manifest = manifest - 'gate' WHERE version = :version")
    with tampering(engine) as connection:
        connection.execute(without, {"version": version})


@pytest.mark.parametrize("in_shadow", [False, True])
def test_a_version_that_no_gate_judged_is_promoted_by_name_only(
    engine: Engine, stence_models: Callable[..., str], in_shadow: bool
) -> None:
    register_candidates(engine, "a")
    forget_verdict(engine, "a")
    if in_shadow:
        enshadow(engine, "a")
    command = ("promote", "a", "--by", "ada", "--why", "first")
    assert stence_models(*command).startswith("Error: No gate has judged model version a: train it again")
    assert states(engine) == {"a": "shadow" if in_shadow else "candidate"}
    assert stence_models(*command, "--ungated") == "a is champion.\n"
    with engine.connect() as connection:
        ungated = connection.scalars(text("SELECT ungated FROM model_changes ORDER BY change_id"))
        assert list(ungated) == [False] * (1 + in_shadow) + [True]
        shown = connection.execute(text("SELECT gate_result, promoted_ungated FROM model_versions")).one()
    assert tuple(shown) == ("not judged", True)
    assert "not judged" in stence_models("list")


def test_a_verdict_is_one_also_where_it_need_not_be(
    engine: Engine, stence_models: Callable[..., str]
) -> None:
    register_candidates(engine, "a")
    stence_models("promote", "a", "--by", "ada", "--why", "first", "--ungated")
    with engine.connect() as connection:
        shown = connection.execute(text("SELECT gate_result, promoted_ungated FROM model_versions")).one()
    assert tuple(shown) == ("passed", False)


# --- the command line ---------------------------------------------------------------------------------------


def test_the_command_line_rejects(engine: Engine, stence_models: Callable[..., str]) -> None:
    register_candidates(engine, "a")
    assert stence_models("reject", "a", "--by", "ada", "--why", "odd") == "a is rejected.\n"
    assert states(engine) == {"a": "rejected"}


def test_the_command_line_lets_candidates_take_turns_in_shadow(
    engine: Engine, stence_models: Callable[..., str]
) -> None:
    register_candidates(engine, "a", "b")
    arguments = ("--by", "ada", "--why", "the gate cannot tell")
    assert stence_models("shadow", "a", *arguments) == "a is in shadow.\n"
    assert stence_models("shadow", "b", *arguments) == "b is in shadow. Back to candidate: a.\n"
    assert states(engine) == {"a": "candidate", "b": "shadow"}


def test_the_command_line_promotes_and_rolls_back(engine: Engine, stence_models: Callable[..., str]) -> None:
    register_candidates(engine, "a", "b")
    assert stence_models("promote", "a", "--by", "ada", "--why", "first") == "a is champion.\n"
    assert stence_models("promote", "b", "--by", "ada", "--why", "better").endswith("b is champion.\n")
    assert stence_models("rollback", "--by", "bob", "--why", "worse") == "a is champion again.\n"
    assert stence_models("promote", "b", "--by", "ada", "--why", "better").startswith(
        "Error: Model version b is retired"
    )
    assert states(engine) == {"a": "champion", "b": "retired"}
