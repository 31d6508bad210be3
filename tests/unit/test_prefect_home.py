"""The password and the record of the Prefect server of ``stence up``: whose they are, and who sees them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import psutil
import pytest

from stence.cli import prefect_home
from stence.cli.prefect_home import RunningServer
from stence.cli.prefect_server import end_leftover
from stence.errors import ConfigurationError
from stence.settings import Settings
from support.ports import free_port

HOUR = 3600
# Children of a background shell ignore Ctrl-C.
GOES_ON = "import signal, time; signal.signal(signal.SIGINT, signal.default_int_handler); time.sleep(600)"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def process() -> Iterator[psutil.Popen]:
    """A process that would go on."""
    process = psutil.Popen([sys.executable, "-c", GOES_ON])
    yield process
    if process.is_running():
        process.kill()
        process.wait()


@pytest.fixture
def answering() -> Iterator[str]:
    """The address of somebody who answers health checks."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    server.server_close()


def test_the_password_is_made_once_and_is_not_guessed(settings: Settings) -> None:
    made, is_new = prefect_home.auth_string(settings)
    assert is_new
    assert made.startswith("stence:")
    assert len(made) > 30
    assert prefect_home.auth_string(settings) == (made, False)
    prefect_home.auth_file(settings).unlink()
    assert prefect_home.auth_string(settings)[0] != made


def test_the_operators_own_password_counts(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(prefect_home.OPERATORS_AUTH, "admin:of my own")
    assert prefect_home.auth_string(settings) == ("admin:of my own", False)
    assert not prefect_home.auth_file(settings).exists()


@pytest.mark.parametrize("value", ["", "admin", "admin:", ":word"])
def test_no_password_is_refused_in_words(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(prefect_home.OPERATORS_AUTH, value)
    with pytest.raises(ConfigurationError, match="user:password"):
        prefect_home.auth_string(settings)


def test_a_server_that_was_left_behind_is_ended(settings: Settings, process: psutil.Popen) -> None:
    prefect_home.record(settings, RunningServer("http://x/api", "a:b", process.pid, process.create_time()))
    end_leftover(settings)
    assert process.wait(10) != 0
    assert prefect_home.recorded(settings) is None


def test_a_later_process_of_the_same_number_is_left_alone(settings: Settings, process: psutil.Popen) -> None:
    began = process.create_time() - HOUR
    prefect_home.record(settings, RunningServer("http://x/api", "a:b", process.pid, began))
    end_leftover(settings)
    with pytest.raises(psutil.TimeoutExpired):
        process.wait(1)


def test_only_the_recorded_process_is_sent_the_password(
    settings: Settings, process: psutil.Popen, answering: str
) -> None:
    """Whoever took its port after it was killed answers, too."""
    server = RunningServer(answering, "a:b", process.pid, process.create_time())
    prefect_home.record(settings, server)
    assert prefect_home.running_server(settings) == server
    process.kill()
    process.wait()
    assert prefect_home.running_server(settings) is None


def test_a_record_that_was_cut_off_is_none(settings: Settings) -> None:
    (prefect_home.make_folder(settings) / prefect_home.RECORD_FILE).write_text('{"api_url": "http')
    assert prefect_home.recorded(settings) is None


def test_a_server_that_is_away_costs_a_command_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from stence.cli import news

    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    news.tell_model(Settings(data_dir=tmp_path), "promoted", "model-7")
    assert "does not answer: no automation was told of this" in caplog.text
