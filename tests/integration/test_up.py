"""``stence up`` as a person runs it: a real process, a real Prefect server in the embedded Postgres."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from psycopg import sql

from stence.database.embedded import Server
from stence.objects import LocalStore
from support.database import server_folder
from support.ecgs import heartbeats, manifest, store_ecg

STENCE = Path(sys.executable).with_name("stence")
PATIENT = "PAT-81234567"
TABLE = sql.SQL("SELECT t::text FROM {} t")
SCHEDULES = {
    "ingest-hourly": "50 * * * *",
    "score-hourly": "0 * * * *",
    "monitor-daily": "30 5 * * *",
    "retrain-weekly": "0 1 * * 0",
}
START_SECONDS, RUN_SECONDS, STOP_SECONDS = 240, 180, 60


class Up:
    """A running ``stence up`` and its API."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.output = data_dir / "up.log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
            "STENCE_DATA_DIR": str(data_dir),
            "STENCE_DEVICE": "cpu",
            "OMP_NUM_THREADS": "1",
        }
        # What a shell starts in the background ignores Ctrl-C, and so would its children.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [STENCE, "up", "--port", str(self.port)],
                env=self.environment,
                cwd=data_dir,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_for(lambda: "Prefect UI" in self.said(), START_SECONDS, self)

    def said(self) -> str:
        return self.output.read_text()

    def api(self, path: str, body: Any = None) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/{path}"
        answer = httpx.get(url) if body is None else httpx.post(url, json=body)
        answer.raise_for_status()
        return answer.json()

    def deployments(self) -> dict[str, Any]:
        return {found["name"]: found for found in self.api("deployments/filter", {})}

    def stop(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(STOP_SECONDS)


def wait_for(condition: Callable[[], bool], seconds: float, up: Up) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert up.process.poll() is None, f"it ended with {up.process.returncode}: {up.said()}"
        assert time.monotonic() < deadline, up.said()
        time.sleep(0.2)


def left_running(data_dir: Path) -> list[list[str]]:
    """Command lines of processes that name the data folder, or run with it."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(data_dir) in " ".join([*process.cmdline(), process.environ().get("STENCE_DATA_DIR", "")]):
                found.append(process.cmdline())
        except psutil.Error:
            continue
    return found


def prefect_holds(data_dir: Path) -> str:
    """All rows of all tables of Prefect's database."""
    where = f"host={Server(data_dir).socket_folder} user=postgres dbname=prefect"
    with psycopg.connect(where) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows = [connection.execute(TABLE.format(sql.Identifier(name))).fetchall() for (name,) in names]
    return "\n".join(text for table in rows for (text,) in table)


def state_of(up: Up, run: Any) -> str:
    return str(up.api(f"flow_runs/{run['id']}")["state_type"])


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """A data folder with three ECGs of one patient in its store."""
    with server_folder() as folder:
        store = LocalStore(folder / "store")
        for number in range(3):
            store_ecg(store, f"ecg/{PATIENT}/{number}.hea", heartbeats(number))
        store.put("ecg/record_list.csv", manifest([(PATIENT, "2026-03-01 08:30:00", f"{PATIENT}/1")]))
        yield folder


@pytest.fixture
def up(data_dir: Path) -> Iterator[Up]:
    up = Up(data_dir)
    yield up
    if up.process.poll() is None:
        os.killpg(up.process.pid, signal.SIGKILL)
        pytest.fail("stence up still ran at the end of the test")


def test_up_serves_the_deployments_runs_one_and_leaves_nothing_behind(up: Up, data_dir: Path) -> None:
    assert f"http://127.0.0.1:{up.port}" in up.said()
    wait_for(lambda: up.deployments().keys() == SCHEDULES.keys(), 60, up)
    for name, cron in SCHEDULES.items():
        deployment = up.deployments()[name]
        (schedule,) = deployment["schedules"]
        assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == (cron, "UTC")
        assert schedule["active"]
        assert not deployment["paused"]
        assert "stence" in deployment["tags"]
        assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"

    # Prefect's own services live: they plan the coming runs.
    scheduled = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}

    def planned() -> int:
        return len({run["deployment_id"] for run in up.api("flow_runs/filter", scheduled)})

    wait_for(lambda: planned() == len(SCHEDULES), 90, up)

    run = up.api(f"deployments/{up.deployments()['ingest-hourly']['id']}/create_flow_run", {})

    wait_for(lambda: state_of(up, run) not in ("SCHEDULED", "PENDING", "RUNNING"), RUN_SECONDS, up)
    assert state_of(up, run) == "COMPLETED"
    assert {"stence", "ingest"} <= set(up.api(f"flow_runs/{run['id']}")["tags"])
    (artifact,) = up.api("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}})
    assert '"new", "count": 3' in artifact["data"]

    # A command in another terminal reports to the same server.
    subprocess.run([STENCE, "ingest"], env=up.environment, cwd=data_dir, check=True, timeout=RUN_SECONDS)
    runs = up.api("flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}})
    assert len(runs) == 2

    held = prefect_holds(data_dir)
    assert run["id"] in held
    assert PATIENT not in held

    assert up.stop(signal.SIGTERM) == 0
    assert left_running(data_dir) == []


def test_up_again_finds_its_schedules_and_ctrl_c_stops_it_amid_a_run(up: Up, data_dir: Path) -> None:
    wait_for(lambda: up.deployments().keys() == SCHEDULES.keys(), 60, up)
    assert all(found["schedules"][0]["active"] and not found["paused"] for found in up.deployments().values())
    run = up.api(f"deployments/{up.deployments()['score-hourly']['id']}/create_flow_run", {})
    wait_for(lambda: state_of(up, run) != "SCHEDULED", RUN_SECONDS, up)
    assert up.stop(signal.SIGINT) == 0
    assert left_running(data_dir) == []
    assert "Traceback" not in up.said()


def test_a_port_that_a_prefect_server_holds_is_named(up: Up, data_dir: Path) -> None:
    second = subprocess.run(
        [STENCE, "up", "--port", str(up.port)],
        env=up.environment,
        cwd=data_dir,
        capture_output=True,
        check=False,
        text=True,
        timeout=START_SECONDS,
    )
    assert second.returncode == 1
    assert "--port" in second.stderr
    assert up.api("health") is True
    assert up.stop(signal.SIGTERM) == 0
