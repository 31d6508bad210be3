"""The Prefect flows: ingest, score, retrain and monitor. Each reads like its line in the README's picture.

A run ends when its parent is gone: ``stence up`` or the worker of a work pool. Prefect alone would let the
run continue beside later runs.
"""

from __future__ import annotations

import logging
import os

from stence import orphans

SUPERVISOR = "RUNS_END_WITH_PID"
"""Environment variable: process number of the ``stence up`` that runs end with."""
WORKER = "RUNS_END_WITH_PARENT"
"""Environment variable: a word in the command line of the worker that runs end with."""

OBSERVERS = ("FlowRunCancellingObserver", "FlowRunSuspendingObserver")


def without_traceback(record: logging.LogRecord) -> bool:
    """Name the error of a log record in its line. A lost server is no fault of the code that noticed it."""
    if record.exc_info and record.exc_info[1] is not None:
        record.msg, record.exc_info = f"{record.msg} ({type(record.exc_info[1]).__name__})", None
    return True


for _observer in OBSERVERS:
    logging.getLogger(f"prefect.{_observer}").addFilter(without_traceback)

if SUPERVISOR in os.environ:
    orphans.end_with(int(os.environ[SUPERVISOR]))
elif WORKER in os.environ:
    orphans.end_with_parent(os.environ[WORKER])
