"""A work pool whose worker is stopped or killed amid its runs: the next run of each deployment runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from stence import database
from stence.cli.prefect_home import RunningServer
from stence.cli.prefect_server import prefect_server
from stence.settings import Settings
from support.database import server_folder
from support.ports import free_port
from support.up import ASKING_OFTEN, NEXT_RUN_SECONDS, NO_SCHEDULED_RUNS, kill_everything, store_listing_held

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PREFECT = Path(sys.executable).with_name("prefect")


class Pool:
    """A Prefect server with the deployments of a work pool, and workers of it."""

    def __init__(self, data_dir: Path, server: RunningServer) -> None:
        self.data_dir, self.server = data_dir, server
        self.environment = {
            **os.environ,
            "PREFECT_API_URL": server.api_url,
            "PREFECT_API_AUTH_STRING": server.auth,
            "PREFECT_HOME": str(data_dir / "client"),
            "STENCE_DATA_DIR": str(data_dir),
            "STENCE_HOME": str(ROOT),
            "OMP_NUM_THREADS": "1",
            **ASKING_OFTEN,
        }
        self.prefect("work-pool", "create", "stence", "--type", "process")
        file = (ROOT / "deployments") / "prefect.yaml"
        self.prefect("--no-prompt", "deploy", "--all", "--prefect-file", file)
        self.log = data_dir / "worker.log"

    def prefect(self, *arguments: object) -> None:
        root = ROOT
        command = [PREFECT, *map(str, arguments)]
        done = subprocess.run(
            command, env=self.environment, cwd=root, capture_output=True, text=True, check=False, timeout=180
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start_worker(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [PREFECT, "worker", "start", "--pool", "stence"],
                env=self.environment, cwd=self.data_dir, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def api(self, path: str, body: Any = None) -> Any:
        url, auth = f"{self.server.api_url}/{path}", tuple(self.server.auth.split(":", 1))
        answer = httpx.get(url, auth=auth) if body is None else httpx.post(url, json=body, auth=auth)
        answer.raise_for_status()
        return answer.json()

    def state(self, run: str) -> str:
        return str(self.api(f"flow_runs/{run}")["state_type"])

    def create_run(self, deployment: str) -> str:
        (found,) = self.api("deployments/filter", {"deployments": {"name": {"any_": [deployment]}}})
        return str(self.api(f"deployments/{found['id']}/create_flow_run", {})["id"])

    def reach(self, deployment: str, *states: str) -> str:
        """Create a run, and return its number when it is in one of ``states``."""
        run = self.create_run(deployment)
        self.wait_until(run, *states)
        return run

    def lost_at_once(self, deployment: str) -> str:
        """Create a run that the server believes to be running, and that never calls."""
        run = self.create_run(deployment)
        self.api(f"flow_runs/{run}/set_state", {"state": {"type": "RUNNING"}, "force": True})
        return run

    def wait_until(self, run: str, *states: str) -> None:
        began = time.monotonic()
        while (state := self.state(run)) not in states:
            assert time.monotonic() - began < NEXT_RUN_SECONDS, (state, self.log.read_text()[-8000:])
            time.sleep(0.1)
        print(f"{self.api(f'flow_runs/{run}')['name']} was {state} after {time.monotonic() - began:.0f} s")


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """A pool with the automations, which wait little longer here than the 30 s between two heartbeats."""
    before = dict(os.environ)
    os.environ.update(NO_SCHEDULED_RUNS)
    with server_folder() as folder:
        settings = Settings(data_dir=folder)
        with database.connect(settings) as engine:
            url = database.create_database(engine, "prefect")
            with prefect_server(settings, url, "127.0.0.1", free_port()) as server:
                pool = Pool(folder, server)
                described = ((ROOT / "deployments") / "lost-runs.yaml").read_text()
                mine = folder / "lost-runs.yaml"
                mine.write_text(described.replace("within: 90", "within: 40"))
                pool.prefect("automation", "create", "--from-file", mine)
                yield pool
        kill_everything(folder)
    os.environ.clear()
    os.environ.update(before)


def kill_with_its_runs(worker: subprocess.Popen[bytes]) -> None:
    """As by the loss of its host."""
    for process in [*psutil.Process(worker.pid).children(recursive=True), psutil.Process(worker.pid)]:
        process.kill()


@pytest.mark.timeout(1200)
def test_after_every_stop_of_a_worker_the_next_runs_run(pool: Pool) -> None:
    """One run is running and one pending at each stop."""
    with store_listing_held(pool.data_dir):
        terminated = pool.start_worker()
        runs = [pool.reach("ingest-hourly", "RUNNING"), pool.reach("monitor-daily", "PENDING")]
        terminated.terminate()
        assert terminated.wait(60) == 0
        lost = pool.start_worker()
        runs += [pool.reach("retrain-weekly", "RUNNING"), pool.reach("score-hourly", "PENDING")]
        kill_with_its_runs(lost)
        runs.append(pool.lost_at_once("ingest-hourly"))
        for run in runs:
            pool.wait_until(run, "CRASHED")

        killed_alone = pool.start_worker()
        for deployment in ("monitor-daily", "score-hourly"):
            pool.reach(deployment, "RUNNING", "FAILED")  # there is no champion
        pool.reach("retrain-weekly", "RUNNING")
        runs = [pool.reach("ingest-hourly", "RUNNING"), pool.reach("monitor-daily", "PENDING")]
        killed_alone.kill()
        for run in runs:
            pool.wait_until(run, "CRASHED")

    last = pool.start_worker()
    pool.reach("ingest-hourly", "COMPLETED")
    last.terminate()
    assert last.wait(60) == 0
