"""The Prefect flows: each reads like the line of the README's picture that it runs.

A run that ``stence up`` started ends when that is gone. Prefect lets it go on beside those of the next.
(The runs of a work pool Prefect ends itself with their worker.)
"""

from __future__ import annotations

import os

from stence import orphans

SUPERVISOR = "RUNS_END_WITH_PID"
"""Environment variable: the process number of the ``stence up`` that runs end with."""

if SUPERVISOR in os.environ:
    orphans.end_with(int(os.environ[SUPERVISOR]))
