"""The Prefect flows: each reads like the line of the README's picture that it runs.

A run ends when what started it is gone, ``stence up`` or a work pool's worker. Prefect would let it go on
beside those of the next, until it prints what nobody reads.
"""

from __future__ import annotations

import os

from stence import orphans

SUPERVISOR = "RUNS_END_WITH_PID"
"""Environment variable: the process number of the ``stence up`` that runs end with."""
WORKER = "RUNS_END_WITH_PARENT"
"""Environment variable: a word in the command line of their parent, the worker that runs end with."""

if SUPERVISOR in os.environ:
    orphans.end_with(int(os.environ[SUPERVISOR]))
elif WORKER in os.environ:
    orphans.end_with_parent(os.environ[WORKER])
