"""The chain of the audit: a tampered one is found, and writers side by side make one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, Engine, text

from stence.cli import main
from stence.database import audit
from stence.settings import Settings
from support import synthetic
from support.audit import add, execute, tamper


@pytest.fixture
def engine(owner_engine: Engine) -> Engine:
    """The owner's: what is refused to them is refused to everybody. The other roles: test_roles.py."""
    return owner_engine


@pytest.fixture
def hospital(engine: Engine) -> Engine:
    """A champion with scores and flags, and an older model."""
    synthetic.load(engine, ecgs=400, patients=100)
    return engine


TAMPERED: dict[str, tuple[list[str], str]] = {
    "changed": (
        ["UPDATE audit.entries SET person = 'Dr B' WHERE id = 3"],
        "link 3: it or its entry 3 was changed",
    ),
    "rehashed": (
        ["UPDATE audit.links SET hash = sha256('x') WHERE position = 4"],
        "link 4: it or its entry 4",
    ),
    "entry removed": (["DELETE FROM audit.entries WHERE id = 2"], "link 2: its entry 2 is missing"),
    "link removed": (["DELETE FROM audit.links WHERE position = 3"], "link 3 is missing"),
    "both removed": (
        ["DELETE FROM audit.links WHERE position = 3", "DELETE FROM audit.entries WHERE id = 3"],
        "link 3 is missing",
    ),
    "first link removed": (["DELETE FROM audit.links WHERE position = 1"], "link 1 is missing"),
    "last link removed": (["DELETE FROM audit.links WHERE position = 5"], "entry 5 has no link"),
    "added behind": (
        ["INSERT INTO audit.entries (login, role, person, action, subject) VALUES ('', '', '', '', '')"],
        "entry 6 has no link",
    ),
    "reordered": (
        [
            "UPDATE audit.links SET entry_id = -entry_id WHERE position IN (2, 4)",
            "UPDATE audit.links SET entry_id = entry_id + 6 WHERE entry_id < 0",
        ],
        "link 2: the order was changed, it was made for entry 2 and names 4",
    ),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_the_first_broken_link_is_named(engine: Engine, how: str) -> None:
    statements, finding = TAMPERED[how]
    add(engine, 5)
    assert audit.verify(engine).faults == []
    for statement in statements:
        tamper(engine, statement)
    assert finding in audit.verify(engine).faults[0]


def rewrite(connection: Connection) -> None:
    """Chain all entries anew, as someone does who knows how."""
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    connection.execute(text("UPDATE audit.entries SET person = 'Dr B' WHERE id = 2"))
    connection.execute(text("DELETE FROM audit.links"))
    connection.execute(
        text(
            "DO $$ DECLARE before bytea := ''; e audit.entries; BEGIN"
            " FOR e IN SELECT * FROM audit.entries ORDER BY id LOOP"
            " before := sha256(before || audit.canonical(e));"
            " INSERT INTO audit.links VALUES (e.id, e.id, before); END LOOP; END $$"
        )
    )


@pytest.mark.parametrize("how", ["rewritten", "cut"])
def test_a_kept_head_finds_a_chain_that_was_rewritten_or_cut(engine: Engine, how: str) -> None:
    add(engine, 4)
    with engine.connect() as connection:
        kept = audit.head(connection)
    add(engine)
    assert audit.verify(engine, kept.hash).faults == []
    if how == "rewritten":
        with engine.begin() as connection:
            rewrite(connection)
    else:
        tamper(engine, "DELETE FROM audit.links WHERE position > 3; DELETE FROM audit.entries WHERE id > 3")
    assert audit.verify(engine).faults == []
    [fault] = audit.verify(engine, kept.hash).faults
    assert "cut off or rewritten" in fault


BEHIND = {
    "UPDATE flags SET state = 'withdrawn' WHERE id = (SELECT min(id) FROM flags)": "1 flags do not stand",
    "DELETE FROM flags WHERE id = (SELECT min(id) FROM flags)": "1 flags do not stand",
    "UPDATE scores SET rca_70 = 0 WHERE content_hash = (SELECT min(content_hash) FROM scores)": "1 runs have",
    "DELETE FROM scores WHERE content_hash = (SELECT min(content_hash) FROM scores)": "1 runs have other",
}


@pytest.mark.parametrize("statement", BEHIND)
def test_results_that_were_changed_without_the_audit_are_found(hospital: Engine, statement: str) -> None:
    assert audit.verify(hospital).faults == []
    tamper(hospital, statement)
    [fault] = audit.verify(hospital).faults
    assert BEHIND[statement] in fault


def test_a_transaction_that_is_rolled_back_breaks_nothing(engine: Engine) -> None:
    add(engine)
    with engine.connect() as connection:
        audit.record(connection, "test.added", "thing", by="Dr A", why="given up")
        connection.rollback()
    add(engine)
    found = audit.verify(engine)
    assert (found.head.position, found.faults) == (2, [])


def together(count: int, action: Callable[[int], None]) -> list[BaseException]:
    """Call ``action`` in as many threads at once; return what they raised."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(count)

    def work(number: int) -> None:
        barrier.wait()
        try:
            action(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_eight_writers_make_one_chain(engine: Engine) -> None:
    assert together(8, lambda _: add(engine, 20)) == []
    found = audit.verify(engine)
    assert (found.head.position, found.faults) == (160, [])


@pytest.mark.timeout(60)  # else the two would wait for each other
def test_a_transaction_with_an_entry_lets_others_commit(engine: Engine) -> None:
    with engine.begin() as slow:
        audit.record(slow, "test.added", "slow", by="Dr A", why="it takes its time")
        add(engine)
    with engine.connect() as connection:
        order = text("SELECT subject FROM audit.links JOIN audit.entries ON id = entry_id ORDER BY position")
        assert list(connection.scalars(order)) == ["thing 0", "slow"]


@pytest.mark.slow
def test_a_hundred_thousand_entries_are_verified_in_seconds(engine: Engine) -> None:
    import time

    execute(
        engine,
        "SELECT audit.record('test.added', 'thing ' || i, 'Dr A', 'a test', jsonb_build_object('number', i))"
        " FROM generate_series(1, 100000) AS i",
    )
    began = time.monotonic()
    found = audit.verify(engine)
    assert time.monotonic() - began < 30
    assert (found.head.position, found.faults) == (100_000, [])


def stence(settings: Settings, *words: str) -> Any:
    assert settings.database_url is not None
    env = {
        "STENCE_DATA_DIR": str(settings.data_dir),
        "STENCE_DATABASE_URL": settings.database_url.get_secret_value(),
    }
    return CliRunner().invoke(main, ["audit", *words], env=env)


def test_the_commands_list_and_verify(engine: Engine, settings: Settings) -> None:
    add(engine, 2)
    with engine.connect() as connection:
        kept = audit.head(connection)
    assert "thing 1" in stence(settings, "list", "--limit", "1").output
    assert "thing" not in stence(settings, "list", "--action", "flags.changed").output
    verified = stence(settings, "verify", "--expect", f" {kept.hash.upper()}")
    assert (verified.exit_code, "2 links, head " + kept.hash in verified.output) == (0, True)
    assert "64 hexadecimal digits" in stence(settings, "verify", "--expect", "abc").output
    tamper(engine, "UPDATE audit.entries SET reason = 'another' WHERE id = 1")
    verified = stence(settings, "verify")
    assert verified.exit_code == 1
    assert "BROKEN: link 1" in verified.output


@pytest.mark.slow
def test_a_run_that_is_closed_for_dead_amid_a_batch_is_told_whole(hospital: Engine) -> None:
    """Its process was only slow: the scores of the batch are in the run's entry all the same."""
    late = "SELECT content_hash, model_version, 'late', 0, 0, 0, 0, 0, 0, run_id FROM scores"
    run = "(SELECT run_id FROM scores LIMIT 1)"
    tamper(hospital, f"UPDATE runs SET state = 'running' WHERE id = {run}")  # noqa: S608
    closing = threading.Thread(
        target=execute,
        args=(hospital, f"UPDATE runs SET state = 'abandoned' WHERE id = {run}"),  # noqa: S608
    )
    with hospital.begin() as batch:
        batch.execute(text(f"INSERT INTO scores {late} WHERE run_id = {run} LIMIT 3"))
        closing.start()
        closing.join(2)
        assert closing.is_alive()
    closing.join()
    assert audit.verify(hospital).faults == []
