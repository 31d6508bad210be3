"""The Prefect flows: each reads like the line of the README's picture that it runs.

A run that a runner or worker started ends when that is gone. Prefect would let it go on, in a state that
nobody closes, holding the only slot of its deployment.
"""

from __future__ import annotations

import os

from stence import orphans

SUPERVISOR = "RUNS_END_WITH_PID"
"""Environment variable: the process number of the ``stence up`` that runs end with."""

if "PREFECT__FLOW_RUN_ID" in os.environ:
    orphans.end_with(int(os.environ.get(SUPERVISOR, os.getppid())))
