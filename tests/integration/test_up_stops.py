"""Every way of stopping ``stence up`` amid its runs: the next run of each deployment runs all the same."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from stence.cli import prefect_home
from stence.settings import Settings
from support.database import server_folder
from support.ports import free_port
from support.up import Up, kill_everything, left_running, store_listing_held

pytestmark = pytest.mark.slow

RUNNING, PENDING = "ingest-hourly", "score-hourly"


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with server_folder() as folder:
        yield folder
        kill_everything(folder)


def terminated(up: Up) -> None:
    assert up.stop(signal.SIGTERM) == 0


def interrupted(up: Up) -> None:
    """By Ctrl-C, which a terminal sends to every process of the group."""
    os.killpg(up.process.pid, signal.SIGINT)
    assert up.process.wait(90) == 0


def terminated_with_everything(up: Up) -> None:
    """As systemd does by default: the server and the runs get SIGTERM at the same moment, Postgres too."""
    for process in left_running(up.data_dir):
        process.terminate()
    assert up.process.wait(90) == 0


def killed_alone(up: Up) -> None:
    up.stop(signal.SIGKILL)


def left_by_its_server(up: Up) -> None:
    server = prefect_home.recorded(Settings(data_dir=up.data_dir))
    assert server is not None
    psutil.Process(server.pid).kill()
    assert up.process.wait(60) == 1


def killed_with_everything(up: Up) -> None:
    kill_everything(up.data_dir)
    up.process.wait(10)


STOPS: list[Callable[[Up], None]] = [
    terminated,
    interrupted,
    terminated_with_everything,
    killed_alone,
    left_by_its_server,
    killed_with_everything,
]


@pytest.mark.timeout(1200)
def test_after_every_stop_the_next_runs_run(data_dir: Path) -> None:
    """One run is running and one pending at each stop; those of the next start get as far."""
    port, ended = free_port(), set[str]()
    runs: list[str] = []
    processes: list[psutil.Process] = []
    held = ExitStack()  # until the next start, so that no run ends by itself
    for stop in STOPS:
        up = Up(data_dir, port)
        check_ended(up, runs, ended, processes)
        held.close()
        held.enter_context(store_listing_held(data_dir))
        runs = [reach(up, RUNNING, "RUNNING"), reach(up, PENDING, "PENDING")]
        processes = psutil.Process(up.process.pid).children(recursive=True)
        stop(up)
        ended = {"CANCELLED"} if stop in (terminated, interrupted) else {"CANCELLED", "CRASHED"}
        assert "Traceback" not in up.said(), up.said()
        assert stop is killed_alone or left_running(data_dir) == []

    up = Up(data_dir, port)
    check_ended(up, runs, ended, processes)
    held.close()
    for deployment in (RUNNING, PENDING):
        reach(up, deployment, "RUNNING", "COMPLETED", "FAILED")  # there is no champion to score with
    assert up.stop() == 0
    assert left_running(data_dir) == []


def check_ended(up: Up, runs: list[str], states: set[str], processes: list[psutil.Process]) -> None:
    """Of the ``stence up`` before this one, every run is closed and every process gone."""
    assert {up.state(run) for run in runs} <= states
    assert psutil.wait_procs(processes, timeout=30)[1] == []


def reach(up: Up, deployment: str, *states: str) -> str:
    """Create a run, and return its number when it is in one of ``states``."""
    run, created = up.create_run(deployment), time.monotonic()
    up.wait_until(run, *states)
    print(f"{deployment} was {up.state(run)} after {time.monotonic() - created:.0f} s")
    return run
