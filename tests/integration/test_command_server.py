"""The Prefect server that a command starts for itself: closed, silent, and never left behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import httpx
import psutil
import pytest
from sqlalchemy import Engine, text

from stence.cli.prefect_home import is_healthy
from stence.settings import Settings
from support.environment import without_prefect
from support.up import STENCE
from support.waiting import wait_until

pytestmark = pytest.mark.slow

START_SECONDS, END_SECONDS = 120, 30
MODULE = "stence.cli.prefect_app"
LINE_OF_THE_SERVER = "TaskRunRecorder"


class Command:
    """``stence ingest`` in a process of its own."""

    def __init__(self, settings: Settings, **more: str) -> None:
        assert settings.database_url is not None
        environment = {
            **without_prefect(),
            "STENCE_DATA_DIR": str(settings.data_dir),
            "STENCE_DATABASE_URL": settings.database_url.get_secret_value(),
            **more,
        }
        self.output = settings.data_dir / "ingest.log"
        with self.output.open("wb") as output:
            self.process = psutil.Popen([STENCE, "ingest"], env=environment, stdout=output, stderr=output)

    def server(self) -> psutil.Process:
        """Its server, as soon as it answers."""
        wait_until(lambda: any(map(is_server, self.process.children())), START_SECONDS)
        [server] = filter(is_server, self.process.children())
        wait_until(lambda: is_healthy(url_of(server)), START_SECONDS)
        return server


def is_server(process: psutil.Process) -> bool:
    try:
        return MODULE in process.cmdline()
    except psutil.Error:  # a child that has ended meanwhile
        return False


def url_of(server: psutil.Process) -> str:
    return str(server.environ()["PREFECT_API_URL"])


@pytest.fixture
def held(owner_engine: Engine) -> Iterator[None]:
    """No ingest run gets further than its first write."""
    with owner_engine.connect() as connection:
        connection.execute(text("LOCK TABLE objects"))
        yield
        connection.rollback()


def test_its_server_is_closed_to_others_and_ends_with_it(settings: Settings, held: None) -> None:
    command = Command(settings)
    server = command.server()
    url = url_of(server)
    user, _, password = server.environ()["PREFECT_API_AUTH_STRING"].partition(":")
    auth = (user, password)
    asked = f"{url}/flow_runs/count"
    try:
        assert httpx.post(asked).status_code == 401
        assert httpx.post(asked, auth=("stence", "guessed")).status_code == 401
        assert httpx.post(asked, auth=auth, headers={"Host": "rebound.example"}).status_code == 400
        wait_until(lambda: httpx.post(asked, auth=auth).json() == 1)
    finally:
        command.process.send_signal(signal.SIGKILL)
        command.process.wait()
        _, left = psutil.wait_procs([server], timeout=END_SECONDS)
        for process in left:
            process.kill()
    assert left == []
    assert not is_healthy(url)


def test_its_lines_stay_in_its_log(settings: Settings) -> None:
    """A command's output is what the command says, whatever happens within Prefect's server."""
    command = Command(settings, PREFECT_LOGGING_SERVER_LEVEL="INFO", PREFECT_API_URL="")  # none configured
    url = url_of(command.server())
    assert command.process.wait(START_SECONDS) == 0
    said = command.output.read_text()
    assert "angiograms_new" in said
    assert LINE_OF_THE_SERVER not in said
    assert url.removesuffix("/api") not in said  # nothing is shown there
    assert LINE_OF_THE_SERVER in (settings.data_dir / "prefect" / "server.log").read_text()
    assert not is_healthy(url)


def test_a_server_that_cannot_start_is_named_with_its_log(settings: Settings) -> None:
    nowhere = "postgresql+asyncpg://127.0.0.1:1/prefect"
    command = Command(settings, PREFECT_SERVER_DATABASE_CONNECTION_URL=nowhere)
    assert command.process.wait(START_SECONDS) == 1
    said = command.output.read_text()
    assert f"did not start; its log: {settings.data_dir / 'prefect' / 'server.log'}" in " ".join(said.split())
    assert "Traceback" not in said
