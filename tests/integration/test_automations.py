"""``deployments/automations.yaml`` on a real Prefect server: it loads, and its webhook is called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from stence.cli.prefect_server import prefect_server
from stence.resources import deployments_folder
from stence.settings import Settings
from support.ports import free_port

pytestmark = pytest.mark.slow

PREFECT = Path(sys.executable).with_name("prefect")
SECONDS = 60
RUN_OF_A_FLOW = """
from prefect import flow, tags

@flow(name="{name}", flow_run_name="{name}-2026-01-01-0000")
def run():
    {what}

with tags(*{tags}):
    run()
"""
MAKE_BLOCK = """
import sys
from prefect.blocks.webhook import Webhook

print(Webhook(url=sys.argv[1]).save("stence"))
"""
ALERT = """
from prefect.events.worker import EventsWorker
from stence.flows.alerts import emit
from stence.monitoring.alerts import Alert

emit("opened", Alert(7, "device_gain", "critical", None, "device", 'Cardio "200"', 0.6, "Check its gain."))
EventsWorker.drain_all(timeout=30)
"""

COMMANDS_NEWS = """
from pathlib import Path
from stence.cli import news
from stence.settings import Settings

news.tell_model(Settings(data_dir=Path("{folder}")), "rolled_back", "model-7", opened=3, withdrawn=2)
"""
FLAGS = """
from types import SimpleNamespace
from prefect.events.worker import EventsWorker
from stence.flows.news import tell_flags

for flagged in ({}, {"stenosis_50": 4, "stenosis_70": 3}):
    tell_flags(SimpleNamespace(model_version="model-8", flagged=flagged))
EventsWorker.drain_all(timeout=30)
"""


class Messages:
    """What a webhook was sent."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        messages = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                messages.texts.append(json.loads(body)["text"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture(scope="module")
def messages() -> Iterator[Messages]:
    messages = Messages()
    yield messages
    messages.server.shutdown()


@pytest.fixture(scope="module")
def python(messages: Messages, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Runs a program against a server that has the automations, of which one waits for ten seconds only."""
    folder = tmp_path_factory.mktemp("prefect")
    port = free_port()
    before = dict(os.environ)
    database = f"sqlite+aiosqlite:///{folder}/prefect.db"
    with prefect_server(Settings(data_dir=folder), database, "127.0.0.1", port) as server:
        environment = before | {
            "PREFECT_API_URL": server.api_url,
            "PREFECT_API_AUTH_STRING": server.auth,
            "PREFECT_HOME": str(folder / "client"),
        }

        def run(*command: object) -> str:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False, timeout=120
            )
            assert done.returncode == 0 or "ended by the test" in done.stderr, done.stdout + done.stderr
            return done.stdout.strip()

        block = run(sys.executable, "-c", MAKE_BLOCK, messages.url)
        described = (deployments_folder() / "automations.yaml").read_text()
        mine = folder / "automations.yaml"
        mine.write_text(described.replace("BLOCK", block).replace("within: 10800", "within: 10"))
        created = run(PREFECT, "automation", "create", "--from-file", mine)
        assert created.count("stence ") >= 3, created
        yield lambda code: run(sys.executable, "-c", code)
    os.environ.clear()
    os.environ.update(before)


def wait_for(messages: Messages, part: str) -> str:
    deadline = time.monotonic() + SECONDS
    while not (found := [text for text in messages.texts if part in text]):
        assert time.monotonic() < deadline, messages.texts
        time.sleep(0.2)
    return found[0]


def test_an_alert_is_told(python: Callable[..., str], messages: Messages) -> None:
    python(ALERT)
    assert wait_for(messages, "device_gain") == "stence alert 7 (critical) device_gain: Check its gain."


def test_a_command_tells_that_a_model_changed(
    python: Callable[..., str], messages: Messages, tmp_path: Path
) -> None:
    python(COMMANDS_NEWS.format(folder=tmp_path))
    assert wait_for(messages, "model-7") == "stence model model-7: rolled back"


def test_new_flags_are_told_by_their_number(python: Callable[..., str], messages: Messages) -> None:
    python(FLAGS)
    assert wait_for(messages, "model-8") == "stence: 7 new flags by model model-8"
    assert len([text for text in messages.texts if "model-8" in text]) == 1


def test_a_failed_run_with_the_tag_of_stence_is_told_and_no_other(
    python: Callable[..., str], messages: Messages
) -> None:
    for name, tags in (("another", ["score"]), ("score", ["stence", "score"])):
        python(RUN_OF_A_FLOW.format(name=name, tags=tags, what="raise ValueError('ended by the test')"))
    text = wait_for(messages, "score-2026-01-01-0000")
    assert text.startswith("stence run score-2026-01-01-0000 ended as Failed: http")
    assert not [each for each in messages.texts if "another" in each]


def test_missing_score_runs_are_told(python: Callable[..., str], messages: Messages) -> None:
    assert "no score run has completed" in wait_for(messages, "no score run")
