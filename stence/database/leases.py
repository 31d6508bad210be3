"""Leases: a process counts as alive until its lease expires, by the database's clock.

A run's row has a lease while it is ``running``, and a thread renews it. A killed process does not renew its
lease. The next process closes its row.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import ColumnElement, Connection, Table, func, or_, update

from stence.database.words import told
from stence.discretion import plain

log = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 3
RETRY_SECONDS = 5.0
"""Pause before a retry after a failed renewal."""
WITHOUT_A_WORD = "its process ended without a word"


def lease_end(seconds: float) -> ColumnElement[object]:
    """Return the end of a lease that begins now."""
    return func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def close_dead(connection: Connection, runs: Table) -> int:
    """Close the rows of running runs with an expired lease as abandoned. Return their number."""
    dead = update(runs).where(
        runs.c.state == "running",
        or_(runs.c.lease_expires_at.is_(None), runs.c.lease_expires_at < func.clock_timestamp()),
    )
    ended = func.coalesce(runs.c.lease_expires_at, func.clock_timestamp())
    values = {"state": "abandoned", "error": WITHOUT_A_WORD, "finished_at": ended, "lease_expires_at": None}
    closed = connection.execute(dead.values(values)).rowcount
    if closed:
        log.warning("%d rows of %s were closed: %s", closed, plain(runs.name), plain(WITHOUT_A_WORD))
    return closed


@contextmanager
def kept_alive(renew: Callable[[], object], lease_seconds: float, whose: str) -> Iterator[None]:
    """Call ``renew`` in a thread during the context, several times per lease.

    A failed renewal is logged and retried soon, for every kind of error.
    """
    stop = threading.Event()
    renewal = _Renewal(renew, lease_seconds, whose)
    thread = threading.Thread(target=renewal.repeat_until, args=(stop,), name="leases", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class _Renewal:
    def __init__(self, renew: Callable[[], object], lease_seconds: float, whose: str) -> None:
        self._renew, self._lease_seconds, self._whose = renew, lease_seconds, whose
        self._pause = lease_seconds / RENEWALS_PER_LEASE
        self._renewed_at = time.monotonic()
        self._failures = 0
        self._has_run_out = False

    def repeat_until(self, stop: threading.Event) -> None:
        pause = self._pause
        while not stop.wait(pause):
            began = time.monotonic()
            try:
                self._renew()
            except Exception as error:
                self._log_failure(error)
                pause = min(self._pause, RETRY_SECONDS)
            else:
                self._renewed_at, self._failures, self._has_run_out = began, 0, False
                pause = self._pause

    def _log_failure(self, error: Exception) -> None:
        self._failures += 1
        if self._failures == 1:
            log.warning(
                "the lease of %s could not be renewed, trying again: %s",
                plain(self._whose),
                plain(told(error)),
            )
        late = time.monotonic() - self._renewed_at
        if late > self._lease_seconds and not self._has_run_out:
            self._has_run_out = True
            log.warning("the lease of %s has run out: others may take its work over", plain(self._whose))
