"""``stence up`` as a person runs it, in a process of its own, and what is left of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from stence.cli import prefect_home
from stence.database.embedded import Server
from stence.settings import Settings
from support.environment import without_prefect
from support.ports import free_port

STENCE = Path(sys.executable).with_name("stence")
ZONE = "Europe/Berlin"
START_SECONDS, STOP_SECONDS, NEXT_RUN_SECONDS = 240, 90, 120
# A scheduled run at the full hour would take the only slot of its deployment from a test's run.
NO_SCHEDULED_RUNS = {"PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false"}
# Due runs are looked for every ten seconds by default: the tests would wait most of their time.
ASKING_OFTEN = {"PREFECT_RUNNER_POLL_FREQUENCY": "2", "PREFECT_WORKER_QUERY_SECONDS": "2"}
BEFORE_END = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")


class Up:
    """A running ``stence up`` and its API."""

    def __init__(
        self, data_dir: Path, port: int | None = None, *options: str, scheduled: bool = False
    ) -> None:
        self.data_dir, self.port = data_dir, port or free_port()
        self.output = data_dir / "up.log"
        self.environment = {
            **without_prefect(),
            "STENCE_DATA_DIR": str(data_dir),
            "STENCE_DEVICE": "cpu",
            "STENCE_TIMEZONE": ZONE,
            "OMP_NUM_THREADS": "1",
            **({} if scheduled else NO_SCHEDULED_RUNS),
            **ASKING_OFTEN,
        }
        # What a shell starts in the background ignores Ctrl-C, and so would its children.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [STENCE, "up", "--port", str(self.port), *options],
                env=self.environment,
                cwd=data_dir,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.wait_for(lambda: "Prefect UI" in self.said(), START_SECONDS)

    def said(self) -> str:
        return self.output.read_text()

    @property
    def auth(self) -> tuple[str, str]:
        """User and password of the server, as its own file tells."""
        server = prefect_home.recorded(Settings(data_dir=self.data_dir))
        assert server is not None
        user, _, password = server.auth.partition(":")
        return user, password

    def api(self, path: str, body: Any = None) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/{path}"
        auth = self.auth
        answer = httpx.get(url, auth=auth) if body is None else httpx.post(url, json=body, auth=auth)
        answer.raise_for_status()
        return answer.json()

    def deployments(self) -> dict[str, Any]:
        return {found["name"]: found for found in self.api("deployments/filter", {})}

    def create_run(self, deployment: str) -> str:
        """A new run, due now; its id."""
        self.wait_for(lambda: deployment in self.deployments(), 60)
        number = self.deployments()[deployment]["id"]
        return str(self.api(f"deployments/{number}/create_flow_run", {})["id"])

    def pause_schedules(self) -> None:
        """And drop the runs planned so far."""
        for deployment in self.deployments().values():
            self.api(f"deployments/{deployment['id']}/pause_deployment", {})

    def state(self, run: str) -> str:
        return str(self.api(f"flow_runs/{run}")["state_type"])

    def wait_until(self, run: str, *states: str) -> None:
        """Until a run is in one of ``states``, in which it must be within the two minutes of the promise."""
        self.wait_for(lambda: self.state(run) in states, NEXT_RUN_SECONDS)

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.said()}"
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(STOP_SECONDS)


def left_running(data_dir: Path) -> list[psutil.Process]:
    """Processes that name the data folder, or run with it."""
    found = []
    for process in psutil.process_iter():
        try:
            told = [*process.cmdline(), process.environ().get("STENCE_DATA_DIR", "")]
            if str(data_dir) in " ".join(told) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def kill_everything(data_dir: Path) -> None:
    """As a power cut would: ``stence up``, its server, its runs and its Postgres, without a word."""
    while processes := left_running(data_dir):
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(processes, timeout=10)


@contextmanager
def store_listing_held(data_dir: Path) -> Iterator[None]:
    """Let no ingest run get further than its first write, for the context."""
    connection = psycopg.connect(f"host={Server(data_dir).socket_folder} user=postgres dbname=postgres")
    try:
        connection.execute("LOCK TABLE objects")
        yield
    finally:
        with suppress(psycopg.Error):
            connection.close()
