"""Fetch, decode, check and prepare ECGs, within a limit of bytes in memory."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.ecg.profile import Profile, profile
from stence.ecg.reasons import UnusableEcgError
from stence.errors import StoreUnavailableError
from stence.preparation.budget import BudgetSpentError, ByteBudget, Share
from stence.preparation.job import Answer, Job, Measured, Prepared, Request, Unusable, array_text
from stence.preparation.reading import Fetched, fetch, take_in
from stence.retry import retry

FETCHED_TOGETHER = 4
"""ECGs that a thread fetches together. Passing single ECGs to threads costs a quarter of fetching them."""


class Arrived(NamedTuple):
    """An ECG with its fetched files; None if they have no room in memory yet."""

    request: Request
    fetched: Fetched | None
    share: Share


class Preparer:
    """Answers requests of one job. ``windows`` (rows, windows, 12, samples) is shared with the parent.

    ``lock_file`` is an open file that all processes of the job share.
    """

    def __init__(self, job: Job, windows: NDArray[np.float32], lock_file: int) -> None:
        self._job = job
        self._windows = windows
        self._lock_file = lock_file
        self._budget = ByteBudget(job.max_bytes_in_flight)
        self._threads = ThreadPoolExecutor(job.fetch_threads, "fetch")

    def close(self) -> None:
        """End the threads and close the lock file, after the last request."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        os.close(self._lock_file)

    def fetch(self, requests: Sequence[Request]) -> Iterator[list[Arrived]]:
        """Begin to fetch the files in threads, and return them in groups, in the order of the requests."""
        starts = range(0, len(requests), FETCHED_TOGETHER)
        groups = [requests[start : start + FETCHED_TOGETHER] for start in starts]
        return self._threads.map(self._fetch, groups)

    def prepare(self, arrived: list[Arrived]) -> list[Answer]:
        """Decode, check and prepare ECGs. Raises StoreUnavailableError after ``outage_seconds``."""
        arrived.reverse()
        answers: list[Answer] = []
        while arrived:  # the list is emptied step by step, so released files leave the memory
            answers.append(self._prepared(*arrived.pop()))
        return answers

    def _fetch(self, requests: Sequence[Request]) -> list[Arrived]:
        return [self._arrived(request) for request in requests]

    def _arrived(self, request: Request) -> Arrived:
        share = Share(self._budget)
        try:
            return Arrived(request, self._files_of(request, share), share)
        except BudgetSpentError:
            share.release()
            return Arrived(request, None, share)

    def _files_of(self, request: Request, share: Share | None = None) -> Fetched:
        job = self._job

        def action() -> Fetched:
            if share is None:
                return fetch(job.store, request.key, job.rules)
            share.release()  # bytes of an earlier attempt
            return fetch(job.store, request.key, job.rules, share.admit)

        return retry(action, job.outage_seconds, StoreUnavailableError)

    def _prepared(self, request: Request, fetched: Fetched | None, share: Share) -> Answer:
        """Prepare an ECG. Files without room are fetched now, by one process at a time."""
        try:
            if fetched is not None:
                return self._answer(request, fetched)
            with self._alone():
                return self._answer(request, self._files_of(request))
        finally:
            share.release()

    def _answer(self, request: Request, fetched: Fetched) -> Answer:
        try:
            with _time_limit(self._job.decode_seconds):
                return self._usable(request, fetched)
        except UnusableEcgError as error:
            return Unusable(request.row, error.finding, fetched.signals)

    def _usable(self, request: Request, fetched: Fetched) -> Prepared:
        job = self._job
        ecg = take_in(request.key, fetched.usable(), request.identity, job.rules, job.patients)
        job.recipe.prepare_into(self._windows[request.row], ecg.recording)
        return Prepared(request.row, ecg.facts(), _measured(profile(ecg.recording)), fetched.signals)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Exclude the other processes of the job. The kernel releases the lock of a process that dies."""
        fcntl.lockf(self._lock_file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._lock_file, fcntl.LOCK_UN)


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Let the kernel end this process after ``seconds``, even if native code holds Python's lock."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _measured(found: Profile) -> Measured:
    return Measured(found.heart_rate, *map(array_text, (found.r_mv, found.s_mv, found.noise_uv)))
