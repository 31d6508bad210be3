"""End a process when the one that it works for is gone, however that ended."""

from __future__ import annotations

import os
import signal
import threading
import time

import psutil

CHECK_SECONDS = 1.0
GRACE_SECONDS = 10.0
"""From the signal, upon which a run gives its ECGs back, to SIGKILL."""


def end_with(pid: int, by: signal.Signals = signal.SIGTERM) -> None:
    """Watch the process ``pid`` from a thread; when it is gone, or is already, end this one by a signal.

    By polling, so that it works on every system, and for a process that is no direct parent.
    """
    try:
        watched = psutil.Process(pid)
    except psutil.Error:
        watched = None
    _watch_from_a_thread(watched, by)


def end_with_parent(called: str) -> None:
    """The same for the parent, whose command line has the word ``called`` in it.

    A parent without it is the one that the system gives to orphans: the right one is gone already.
    """
    try:
        parent = psutil.Process().parent()
        is_right = parent is not None and any(called in argument for argument in parent.cmdline())
    except psutil.Error:
        is_right = False
    _watch_from_a_thread(parent if is_right else None, signal.SIGTERM)


def is_alive(process: psutil.Process) -> bool:
    """Return True while the process runs, which one whose number was given anew does not, nor a zombie."""
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
