"""The Prefect flows. Each reads like its line in the README's picture.

A run ends when its parent is gone: ``stence up`` or the worker of a work pool. Prefect alone would let the
run continue beside later runs.
"""

from __future__ import annotations

import os

from stence import orphans
from stence.flows import lost_server

SUPERVISOR = "RUNS_END_WITH_PID"
"""Environment variable: process number of the ``stence up`` that runs end with."""
WORKER = "RUNS_END_WITH_PARENT"
"""Environment variable: a word in the command line of the worker that runs end with."""

lost_server.tell_in_one_line()

if SUPERVISOR in os.environ:
    orphans.end_with(int(os.environ[SUPERVISOR]))
elif WORKER in os.environ:
    orphans.end_with_parent(os.environ[WORKER])
