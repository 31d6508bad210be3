"""The embedded Postgres is shared by processes and survives what happens to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from stence import database
from stence.database import account, migrate
from stence.errors import DatabaseUnavailableError
from stence.settings import Settings
from support.database import server_folder, tampering

USER = """
import sys
from stence import database
from stence.settings import Settings

with database.connect(Settings()) as engine:
    print("connected", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def own() -> Iterator[Settings]:
    """Settings with an embedded server of the test's own."""
    with server_folder() as folder:
        yield Settings(data_dir=folder)


@pytest.fixture
def users(own: Settings) -> Iterator[list[subprocess.Popen[str]]]:
    """Two more processes that use it."""
    found = [start_user(own) for _ in range(2)]
    for user in found:
        wait_for_user(user)
    yield found
    for user in found:
        user.kill()
        user.wait()


def start_user(settings: Settings) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER],
        env={**os.environ, "STENCE_DATA_DIR": str(settings.data_dir)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for_user(user: subprocess.Popen[str]) -> None:
    assert user.stdout is not None
    assert user.stdout.readline() == "connected\n"


def server_pid(settings: Settings) -> int | None:
    file = settings.data_dir / "postgres" / "postmaster.pid"
    return int(file.read_text().splitlines()[0]) if file.exists() else None


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def ask(engine: Engine) -> int | None:
    with engine.connect() as connection:
        return connection.scalar(text("SELECT 7"))


@pytest.mark.slow
def test_the_server_outlives_killed_users_and_is_stopped_by_the_last(
    own: Settings, users: list[subprocess.Popen[str]]
) -> None:
    pid = server_pid(own)
    with database.connect(own) as engine:
        for user in users:
            user.kill()
            user.wait()
        assert ask(engine) == 7
        assert server_pid(own) == pid
    assert server_pid(own) is None


@pytest.mark.slow
def test_a_leaving_process_leaves_the_server_to_the_others(
    own: Settings, users: list[subprocess.Popen[str]]
) -> None:
    pid = server_pid(own)
    with database.connect(own), database.connect(own) as nested:
        assert ask(nested) == 7
    assert server_pid(own) == pid
    for user in users:
        assert server_pid(own) == pid
        user.communicate("leave\n", timeout=60)
    assert server_pid(own) is None


@pytest.mark.slow
def test_what_was_committed_survives_when_everything_is_killed(
    own: Settings, users: list[subprocess.Popen[str]]
) -> None:
    with database.connect(own) as engine, tampering(engine) as connection:
        connection.execute(text("CREATE TABLE kept AS SELECT 7 AS value"))
    for pid in [*(user.pid for user in users), server_pid(own)]:
        kill(pid)
    with database.connect(own) as engine, tampering(engine) as connection:
        assert connection.scalar(text("SELECT value FROM kept")) == 7


@pytest.mark.slow
def test_a_running_process_brings_a_killed_server_back(own: Settings) -> None:
    with database.connect(own) as engine:
        assert ask(engine) == 7
        before = server_pid(own)
        kill(before)
        while server_pid(own) == before:  # an open connection may answer a last time
            assert database.retry_outages(lambda: ask(engine), 30) == 7
        assert ask(engine) == 7


@pytest.mark.slow
def test_a_lock_file_that_names_another_process_does_not_stop_the_start(own: Settings) -> None:
    with database.connect(own):
        lock = own.data_dir / "postgres" / "postmaster.pid"
        lines = lock.read_text().splitlines()
    lock.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    with database.connect(own) as engine:
        assert ask(engine) == 7


@pytest.mark.slow
def test_a_creation_that_was_cut_off_is_begun_anew(own: Settings) -> None:
    half = own.data_dir / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18")
    with database.connect(own) as engine:
        assert ask(engine) == 7


@pytest.mark.slow
@pytest.mark.parametrize("name", ["long" * 30, "it's a folder, with: signs"])
def test_any_folder_will_do(own: Settings, name: str) -> None:
    with database.connect(Settings(data_dir=own.data_dir / name)) as engine:
        assert ask(engine) == 7
        socket_folder = Path(str(engine.url.query["host"]))
        assert socket_folder.is_dir()
    assert own.data_dir not in socket_folder.parents
    assert not socket_folder.exists()


def test_a_folder_that_cannot_be_is_told(own: Settings) -> None:
    (own.data_dir / "file").touch()
    with (
        pytest.raises(DatabaseUnavailableError, match="STENCE_DATA_DIR"),
        database.connect(Settings(data_dir=own.data_dir / "file" / "folder")),
    ):
        pass


def test_a_folder_of_somebody_else_or_a_link_is_not_used(tmp_path: Path) -> None:
    own, link = tmp_path / "own", tmp_path / "link"
    for _ in range(2):
        account.make_private_folder(own)
    link.symlink_to(own)
    not_ours = "belongs to someone else: remove it"
    with pytest.raises(DatabaseUnavailableError, match=not_ours):
        account.make_private_folder(link)
    if os.geteuid() == 0:
        os.chown(own, 4711, 4711)
        with pytest.raises(DatabaseUnavailableError, match=not_ours):
            account.make_private_folder(own)


@pytest.mark.slow
def test_a_server_that_cannot_start_is_told_with_its_last_words(own: Settings) -> None:
    with database.connect(own):
        pass
    (own.data_dir / "postgres" / "postgresql.conf").write_text("shared_buffers = 'plenty'\n")
    with pytest.raises(DatabaseUnavailableError, match="shared_buffers"), database.connect(own):
        pass


@pytest.mark.slow
def test_ctrl_c_in_the_terminal_does_not_reach_the_server(own: Settings) -> None:
    with database.connect(own):
        pid = server_pid(own)
        assert pid is not None
        assert os.getsid(pid) != os.getsid(0)


@pytest.mark.slow
def test_processes_that_start_together_migrate_once(own: Settings) -> None:
    began = time.monotonic()
    together = [start_user(own) for _ in range(8)]
    for user in together:
        wait_for_user(user)
    with database.connect(own) as engine:
        assert migrate.current_revision(engine) is not None
    for user in together:
        _, error = user.communicate("leave\n", timeout=60)
        assert user.returncode == 0, error
    assert server_pid(own) is None
    assert time.monotonic() - began < 60


@pytest.mark.slow
def test_the_log_holds_no_patient(own: Settings) -> None:
    with database.connect(own) as engine:
        for statement in ("SELECT 1 / 0 AS p1234567", "INSERT INTO manifests (key) VALUES ('p1234567')"):
            with pytest.raises(Exception, match=r"division|not-null"), engine.begin() as connection:
                connection.execute(text(statement))
    log = (own.data_dir / "postgres.log").read_text()
    assert "division by zero" in log
    assert "p1234567" not in log
