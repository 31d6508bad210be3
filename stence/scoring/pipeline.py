"""The scoring pipeline: claim -> fetch -> decode, check, prepare -> infer -> write. Stages run concurrently.

Fetching and preparing use thread pools, inference uses the calling thread, and writing one further thread.
``settings.prefetch_batches`` limits the batches between two stages, ``settings.max_bytes_in_flight`` limits
their files. So memory is independent of the size of the worklist and of the store.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from stence.ecg import Finding, Reason, UnusableEcgError
from stence.ecg.profile import Profile, profile
from stence.errors import StoreUnavailableError
from stence.ingest.patients import NOT_MERGED, Patients
from stence.models import clinical_values
from stence.objects import ObjectStore
from stence.progress import Progress
from stence.retry import retry
from stence.scoring.budget import BudgetSpentError, ByteBudget, Share
from stence.scoring.reading import EcgFacts, Fetched, fetch, take_in
from stence.scoring.scorer import Scorer
from stence.scoring.stage_timer import StageTimer
from stence.scoring.work import Claim, Worklist
from stence.scoring.writing import Refused, Result, Scored, Writer
from stence.settings import Settings

CLAIMS_TOGETHER = 16
"""ECGs that a thread fetches or prepares together. Passing single ECGs costs more than decoding them."""


class Arrived(NamedTuple):
    """An ECG with its fetched files; None if they have no room in memory yet."""

    claim: Claim
    fetched: Fetched | None
    share: Share


class Ready(NamedTuple):
    """An ECG ready for the model, without its signal."""

    claim: Claim
    facts: EcgFacts
    signals: tuple[str, ...] | None
    profile: Profile
    windows: NDArray[np.float32]


Prepared = list[Ready | Refused]


class Pools(NamedTuple):
    """Thread pools of the stages."""

    fetch: ThreadPoolExecutor
    prepare: ThreadPoolExecutor
    write: ThreadPoolExecutor


class Pipeline:
    """Scores the ECGs of a worklist with one model."""

    def __init__(
        self,
        store: ObjectStore,
        settings: Settings,
        scorer: Scorer,
        worklist: Worklist,
        writer: Writer,
        timer: StageTimer,
        patients: Patients = NOT_MERGED,
    ) -> None:
        self._store = store
        self._settings = settings
        self._scorer = scorer
        self._worklist = worklist
        self._writer = writer
        self._timer = timer
        self._patients = patients
        self._zone = ZoneInfo(settings.timezone)
        self._budget = ByteBudget(settings.max_bytes_in_flight)
        self._one_at_a_time = threading.Lock()

    def run(self, limit: int, progress: Progress) -> int:
        """Score up to ``limit`` ECGs, and return the number of claimed ECGs.

        Raises StoreUnavailableError or DatabaseUnavailableError after ``settings.outage_seconds``. Claimed
        ECGs without result then stay leased, and the run releases them.
        """
        done, writes = 0, deque[Future[None]]()
        with _pools(self._settings) as pools:
            for batch in self._batches(limit, pools):
                held = self._worklist.still_held([item.claim for item in batch])
                results = self._infer([item for item in batch if item.claim in held])
                writes.append(pools.write.submit(self._write, results))
                while len(writes) > self._settings.prefetch_batches:
                    writes.popleft().result()
                done += len(batch)
                progress("score", done)
            for write in writes:
                write.result()
        return done

    def _batches(self, limit: int, pools: Pools) -> Iterator[Prepared]:
        """Yield claimed and prepared batches. Next batches are fetched and prepared at the same time."""
        waiting: deque[list[Future[Prepared]]] = deque()
        claimed = 0
        while True:
            while claimed < limit and len(waiting) <= self._settings.prefetch_batches:
                claims = self._claim(min(self._settings.batch_size, limit - claimed), idle=not waiting)
                if not claims:
                    break
                claimed += len(claims)
                waiting.append([self._start(part, pools) for part in _parts(claims)])
            if not waiting:
                return
            yield [item for part in waiting.popleft() for item in part.result()]

    def _claim(self, count: int, *, idle: bool) -> list[Claim]:
        if idle:
            return self._worklist.claim_or_wait(count)
        with self._timer("claim"):
            return self._worklist.claim(count)

    def _start(self, claims: Sequence[Claim], pools: Pools) -> Future[Prepared]:
        # Fetching is submitted first and runs in other threads, so a preparing thread never waits forever.
        fetched = pools.fetch.submit(self._fetch, claims)
        return pools.prepare.submit(lambda: self._prepare(fetched.result()))

    def _fetch(self, claims: Sequence[Claim]) -> list[Arrived]:
        with self._timer("fetch"):
            return [self._arrived(claim) for claim in claims]

    def _arrived(self, claim: Claim) -> Arrived:
        share = Share(self._budget)
        try:
            return Arrived(claim, self._files_of(claim, share), share)
        except BudgetSpentError:
            share.release()
            return Arrived(claim, None, share)

    def _files_of(self, claim: Claim, share: Share | None = None) -> Fetched:
        def action() -> Fetched:
            if share is None:
                return fetch(self._store, claim.key, self._settings.max_object_bytes)
            share.release()  # bytes of an earlier attempt
            return fetch(self._store, claim.key, self._settings.max_object_bytes, share.admit)

        return retry(action, self._settings.outage_seconds, StoreUnavailableError)

    def _prepare(self, arrived: list[Arrived]) -> Prepared:
        arrived.reverse()
        prepared: Prepared = []
        with self._timer("prepare"):
            while arrived:  # the list is emptied step by step, so released files leave the memory
                prepared.append(self._prepared(*arrived.pop()))
        return prepared

    def _prepared(self, claim: Claim, fetched: Fetched | None, share: Share) -> Ready | Refused:
        """Prepare an ECG. Files without room are fetched now, one ECG at a time, so none waits for others."""
        try:
            if fetched is not None:
                return self._ready(claim, fetched)
            with self._one_at_a_time:
                return self._ready(claim, self._files_of(claim))
        finally:
            share.release()

    def _ready(self, claim: Claim, fetched: Fetched) -> Ready | Refused:
        try:
            ecg = take_in(claim.key, fetched.usable(), claim.identity, self._zone, self._patients)
            recording = ecg.recording
            windows = self._scorer.prepare(recording)
            return Ready(claim, ecg.facts(), fetched.signals, profile(recording), windows)
        except UnusableEcgError as error:
            return Refused(claim, error.finding, fetched.signals)

    def _infer(self, batch: Prepared) -> list[Result]:
        ready = [item for item in batch if isinstance(item, Ready)]
        results: list[Result] = [item for item in batch if isinstance(item, Refused)]
        if ready:
            with self._timer("infer"):
                scores = self._scorer.embed_and_score(
                    np.stack([item.windows for item in ready]), _known(ready)
                )
            results += map(_result, ready, *scores)
        return results

    def _write(self, results: Sequence[Result]) -> None:
        with self._timer("write"):
            self._writer.write(results)


def _known(ready: Sequence[Ready]) -> NDArray[np.float64]:
    """Return the clinical values (n, 2) as ``ecgs`` will hold them, so that each score can be traced."""
    return clinical_values([item.facts.age for item in ready], [item.facts.sex for item in ready])


def _result(
    item: Ready,
    probabilities: NDArray[np.float64],
    projection: NDArray[np.float32],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    novelty: float,
) -> Result:
    if np.isfinite(probabilities).all():
        of_model = (probabilities, projection, lower, upper, float(novelty))
        return Scored(item.claim, item.facts, item.profile, *of_model, item.signals)
    detail = "the model's probability is not finite: keep the file and report it with the model's version"
    return Refused(item.claim, Finding(Reason.SCORE_NOT_FINITE, detail), item.signals)


def _parts(claims: Sequence[Claim]) -> Iterator[Sequence[Claim]]:
    for start in range(0, len(claims), CLAIMS_TOGETHER):
        yield claims[start : start + CLAIMS_TOGETHER]


@contextmanager
def _pools(settings: Settings) -> Iterator[Pools]:
    """Open the thread pools for a context. On an error, waiting tasks are dropped and running tasks end."""
    pools = Pools(
        ThreadPoolExecutor(settings.fetch_threads, "fetch"),
        ThreadPoolExecutor(settings.decode_threads, "prepare"),
        ThreadPoolExecutor(1, "write"),
    )
    try:
        yield pools
    finally:
        for pool in pools:
            pool.shutdown(wait=True, cancel_futures=True)
