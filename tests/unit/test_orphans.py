"""A run ends with the worker that started it, also with one that is gone before the run looks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from stence import orphans

RUN = """
import os, time
from stence import orphans
orphans.end_with_parent(os.environ["CALLED"])
time.sleep(60)
"""
WORKER = """
import subprocess, sys
run = subprocess.Popen([sys.executable, "-c", sys.argv[2]], stdout=subprocess.DEVNULL)
print(run.pid, flush=True)
run.wait()
"""


@pytest.mark.slow
def test_a_run_goes_on_with_its_worker_and_ends_with_it() -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, "worker", RUN],
        env=os.environ | {"CALLED": "worker"},
        stdout=subprocess.PIPE,
    )
    assert worker.stdout is not None
    run = psutil.Process(int(worker.stdout.readline()))
    assert psutil.wait_procs([run], timeout=4)[0] == []
    worker.kill()
    worker.wait()
    worker.stdout.close()
    assert psutil.wait_procs([run], timeout=10)[1] == []


def test_a_run_whose_parent_is_no_worker_has_lost_its_own() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", RUN],
        env=os.environ | {"CALLED": "no-process-is-called-so"},
        timeout=20,
        check=False,
    )
    assert ended.returncode == -signal.SIGTERM


def test_a_process_that_has_ended_is_not_alive_before_its_parent_has_looked() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = psutil.Process(child.pid)
        assert orphans.is_alive(process)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it is dead, and stays in the table
        assert not orphans.is_alive(process)
    assert not orphans.is_alive(process)
