"""Transactions that Postgres took back, disks that are full, and what its messages may say."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from stence import database
from stence.cli import main
from stence.database import copy_rows, retry_outages
from stence.errors import DatabaseUnavailableError, StoreUnavailableError
from stence.objects import open_store
from stence.settings import Settings
from support.database import server_folder, tampering
from support.environment import set_environment

PATIENT = "p1234567"


@pytest.fixture
def counters(engine: Engine) -> Engine:
    """An engine with a table of two counters at 0."""
    with tampering(engine) as connection:
        connection.execute(
            text("CREATE TABLE counters AS SELECT id, 0 AS count FROM generate_series(1, 2) id")
        )
        connection.execute(text("GRANT ALL ON counters TO PUBLIC"))
        connection.execute(
            text("ALTER DATABASE " + str(engine.url.database) + " SET deadlock_timeout = '50ms'")
        )
    engine.dispose()
    return engine


def add_one(connection: Connection, counter: int) -> None:
    connection.execute(text("UPDATE counters SET count = count + 1 WHERE id = :id"), {"id": counter})


def together(*actions: Any) -> None:
    """All of them at once, with retries; the first error is raised."""
    errors: list[BaseException] = []

    def run(action: Any) -> None:
        try:
            retry_outages(action, 0)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]


def test_a_deadlock_is_repeated_until_both_have_written(counters: Engine) -> None:
    both_hold_one = threading.Barrier(2)
    tries: list[int] = []

    def take(first: int, second: int) -> None:
        with counters.begin() as connection:
            add_one(connection, first)
            tries.append(first)
            if tries.count(first) == 1:
                both_hold_one.wait(30)
            add_one(connection, second)

    together(lambda: take(1, 2), lambda: take(2, 1))
    assert len(tries) == 3
    with counters.connect() as connection:
        assert connection.execute(text("SELECT count FROM counters")).scalars().all() == [2, 2]


def test_a_serialization_failure_is_repeated(counters: Engine) -> None:
    strict = counters.execution_options(isolation_level="REPEATABLE READ")
    both_have_read = threading.Barrier(2)
    tries: list[int] = []

    def read_and_write(number: int) -> None:
        with strict.begin() as connection:
            connection.execute(text("SELECT count FROM counters")).all()
            tries.append(number)
            if tries.count(number) == 1:
                both_have_read.wait(30)
            add_one(connection, 1)

    together(lambda: read_and_write(1), lambda: read_and_write(2))
    assert len(tries) == 3


def test_a_collision_without_end_is_told_in_words(engine: Engine) -> None:
    tries = []

    def collide() -> None:
        tries.append(1)
        with engine.begin() as connection:
            connection.execute(text("DO $$ BEGIN RAISE deadlock_detected; END $$"))

    with pytest.raises(DatabaseUnavailableError, match=r"took a transaction back 5 times") as caught:
        retry_outages(collide, 0)
    assert len(tries) == 5
    assert "DO $$" not in str(caught.value)


@pytest.mark.slow
def test_a_full_disk_is_told_in_words() -> None:
    """A table whose file is /dev/full: every write to it meets a full disk."""
    with server_folder() as folder, database.connect(Settings(data_dir=folder)) as engine:
        with tampering(engine) as connection:
            connection.execute(text("CREATE TABLE full_table (value text)"))
            path = connection.scalar(text("SELECT pg_relation_filepath('full_table')"))
        file = folder / "postgres" / str(path)
        file.unlink()
        file.symlink_to("/dev/full")

        def write() -> None:
            with tampering(engine) as connection:
                connection.execute(text("INSERT INTO full_table VALUES (:patient)"), {"patient": PATIENT})

        engine.dispose()
        with pytest.raises(DatabaseUnavailableError, match="its disk is full: free space") as caught:
            retry_outages(write, 0)
        assert "INSERT" not in str(caught.value)
        assert PATIENT not in str(caught.value)
        file.unlink()
        file.touch()


@pytest.fixture
def command_line(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a ``stence`` on the test's database."""
    set_environment(monkeypatch, settings)


@pytest.mark.slow
def test_output_that_has_no_room_is_told_in_words(engine: Engine, command_line: None) -> None:
    stence = Path(sys.executable).with_name("stence")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([stence, "query"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: The disk is full: free space and start again")
    assert "Traceback" not in done.stderr


def test_a_store_that_has_no_room_is_told_in_words(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        store = open_store(tmp_path.as_uri(), Settings(data_dir=tmp_path.parent))
        store.put("models/a", b"a")
        with pytest.raises(StoreUnavailableError, match=r"is full \(No space left on device\): free space"):
            store.put("models/b", bytes(2**20))
        assert [found.key for found in store.list("")] == ["models/a"]
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_what_postgres_refuses_a_command_is_told_in_words(engine: Engine, command_line: None) -> None:
    with tampering(engine) as connection:
        connection.execute(text("ALTER TABLE reviews ADD CHECK (note <> 'p1234567')"))
        connection.execute(
            text("INSERT INTO objects (key, record_key, etag, size_bytes) VALUES ('a', 'a', '', 1)")
        )
        connection.execute(
            text(
                "INSERT INTO models VALUES ('m', 'champion', '', '', '', '{}');"
                "INSERT INTO ecgs (content_hash, patient_id, sampling_rate, seconds, object_id)"
                " SELECT 'h', 'p', 500, 10, id FROM objects;"
                "INSERT INTO flags (content_hash, model_version, target, patient_id, probability, threshold,"
                " rule, state) VALUES ('h', 'm', 'rca_70', 'p', 1, 0, '', 'open')"
            )
        )
        number = connection.scalar(text("SELECT id FROM ecgs"))
    arguments = ["review", str(number), "--outcome", "confirmed", "--by", "me", "--note", PATIENT]
    said = CliRunner().invoke(main, arguments)
    assert said.exit_code == 1
    assert said.output.startswith('Error: Postgres refused: new row for relation "reviews" violates check')
    assert PATIENT not in said.output


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO named VALUES ('p1234567'), ('p1234567')",
        "SELECT CAST('p1234567' AS integer)",
        "SELECT CAST('p1234567' AS timestamptz)",
        "SELECT E'\\\\xff'::bytea, convert_from('\\xff7031323334353637', 'UTF8')",
        "INSERT INTO named SELECT string_agg(md5(i::text), 'p1234567') FROM generate_series(1, 400) i",
    ],
)
def test_no_value_is_in_the_text_of_an_error(engine: Engine, statement: str) -> None:
    with tampering(engine) as connection:
        connection.execute(text("CREATE TABLE named (name text PRIMARY KEY CHECK (name <> 'nobody'))"))
    with pytest.raises(DBAPIError) as caught, tampering(engine) as connection:
        connection.exec_driver_sql(statement)
    shown = f"{caught.value.args} {caught.value.orig}"
    assert PATIENT not in shown
    assert "DETAIL" not in shown


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ((PATIENT, "1", "no number", 0), psycopg.DataError),
        ((PATIENT, None, 1, 1), psycopg.IntegrityError),
    ],
)
def test_no_value_is_in_the_text_of_a_failed_copy(
    engine: Engine, row: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error) as caught, engine.begin() as connection:
        copy_rows(connection, "manifests", ["key", "etag", "rows_read", "rows_refused"], [row])
    assert PATIENT not in str(caught.value)
    assert "no number" not in str(caught.value)


def test_the_name_of_what_was_violated_stays(engine: Engine) -> None:
    with pytest.raises(IntegrityError, match="models_state_check"), tampering(engine) as connection:
        connection.execute(
            text("INSERT INTO models VALUES ('m', 'no state', 'f', 's', 'p', '{}')"),
        )
