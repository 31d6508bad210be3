"""End a process when the process that it works for has ended in any way."""

from __future__ import annotations

import os
import signal
import threading
import time

import psutil

CHECK_SECONDS = 1.0
GRACE_SECONDS = 10.0
"""Time from the first signal to SIGKILL. On the first signal a run releases its ECGs."""


def end_with(pid: int, by: signal.Signals = signal.SIGTERM) -> None:
    """Watch the process ``pid`` from a thread. When it has ended, end this process by a signal.

    The thread polls. This works on every system, and for processes that are not the direct parent.
    """
    try:
        watched = psutil.Process(pid)
    except psutil.Error:
        watched = None
    _watch_from_a_thread(watched, by)


def end_with_parent(called: str) -> None:
    """End this process with its parent, whose command line contains the word ``called``.

    A parent without this word has adopted an orphan: the right parent has already ended.
    """
    try:
        parent = psutil.Process().parent()
        is_right = parent is not None and any(called in argument for argument in parent.cmdline())
    except psutil.Error:
        is_right = False
    _watch_from_a_thread(parent if is_right else None, signal.SIGTERM)


def is_alive(process: psutil.Process) -> bool:
    """Return True while the process runs. A zombie and a reused process number give False."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _watch_from_a_thread(process: psutil.Process | None, by: signal.Signals) -> None:
    threading.Thread(target=_watch, args=(process, by), name="end-with-parent", daemon=True).start()


def _watch(process: psutil.Process | None, by: signal.Signals) -> None:
    while process is not None and is_alive(process):
        time.sleep(CHECK_SECONDS)
    os.kill(os.getpid(), by)
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
