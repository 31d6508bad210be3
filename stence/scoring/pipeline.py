"""The pipeline: claim -> fetch -> decode, check, prepare -> infer -> write, all at the same time.

Fetching and preparing have threads of their own, inference has the calling thread, writing one more. What
waits between two stages is bounded by ``settings.prefetch_batches``: memory does not grow with the worklist.
"""

from __future__ import annotations

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
from stence.objects import ObjectStore
from stence.patience import patiently
from stence.progress import Progress
from stence.scoring.reading import Identity, UsableEcg, fetch, take_in
from stence.scoring.scorer import Scorer
from stence.scoring.stopwatch import Stopwatch
from stence.scoring.work import Claim, Worklist
from stence.scoring.writing import Refused, Result, Scored, Writer
from stence.settings import Settings

CLAIMS_TOGETHER = 16
"""ECGs that a thread fetches or prepares in one go: handing over each by itself costs more than decoding."""

Fetched = tuple[Claim, dict[str, bytes] | Finding]


class Ready(NamedTuple):
    """An ECG on its way to the model."""

    claim: Claim
    ecg: UsableEcg
    profile: Profile
    windows: NDArray[np.float32]


Prepared = list[Ready | Refused]


class Pools(NamedTuple):
    """The threads of the stages."""

    fetch: ThreadPoolExecutor
    prepare: ThreadPoolExecutor
    write: ThreadPoolExecutor


class Pipeline:
    """Works off a worklist with one model."""

    def __init__(
        self,
        store: ObjectStore,
        settings: Settings,
        scorer: Scorer,
        worklist: Worklist,
        writer: Writer,
        stopwatch: Stopwatch,
    ) -> None:
        self._store = store
        self._settings = settings
        self._scorer = scorer
        self._worklist = worklist
        self._writer = writer
        self._stopwatch = stopwatch
        self._zone = ZoneInfo(settings.timezone)

    def run(self, limit: int, tell: Progress) -> int:
        """Score up to ``limit`` ECGs; how many were claimed.

        Raises StoreUnavailableError or DatabaseUnavailableError after ``settings.outage_seconds``; what was
        claimed and not written stays leased, for the run to give back.
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
                tell("score", done)
            for write in writes:
                write.result()
        return done

    def _batches(self, limit: int, pools: Pools) -> Iterator[Prepared]:
        """Claimed batches, prepared; the next ones are fetched and prepared meanwhile."""
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
        with self._stopwatch("claim"):
            return self._worklist.claim(count)

    def _start(self, claims: Sequence[Claim], pools: Pools) -> Future[Prepared]:
        # Fetching was submitted first and runs in other threads, so a preparing thread never waits in vain.
        fetched = pools.fetch.submit(self._fetch, claims)
        return pools.prepare.submit(lambda: self._prepare(fetched.result()))

    def _fetch(self, claims: Sequence[Claim]) -> list[Fetched]:
        with self._stopwatch("fetch"):
            return [(claim, self._files_of(claim)) for claim in claims]

    def _files_of(self, claim: Claim) -> dict[str, bytes] | Finding:
        def action() -> dict[str, bytes]:
            return fetch(self._store, claim.key, self._settings.max_object_bytes)

        try:
            return patiently(action, self._settings.outage_seconds, StoreUnavailableError)
        except UnusableEcgError as error:
            return error.finding

    def _prepare(self, fetched: list[Fetched]) -> Prepared:
        with self._stopwatch("prepare"):
            return [self._ready(claim, files) for claim, files in fetched]

    def _ready(self, claim: Claim, files: dict[str, bytes] | Finding) -> Ready | Refused:
        if isinstance(files, Finding):
            return Refused(claim, files)
        given = Identity(claim.patient_id, claim.acquired_at, claim.site, claim.indication)
        try:
            ecg = take_in(claim.key, files, given, self._zone)
            return Ready(claim, ecg, profile(ecg.recording), self._scorer.prepare(ecg.recording))
        except UnusableEcgError as error:
            return Refused(claim, error.finding)

    def _infer(self, batch: Prepared) -> list[Result]:
        ready = [item for item in batch if isinstance(item, Ready)]
        results: list[Result] = [item for item in batch if isinstance(item, Refused)]
        if ready:
            with self._stopwatch("infer"):
                scores = self._scorer.embed_and_score(np.stack([item.windows for item in ready]))
            results += map(_judged, ready, *scores)
        return results

    def _write(self, results: Sequence[Result]) -> None:
        with self._stopwatch("write"):
            self._writer.write(results)


def _judged(item: Ready, probabilities: NDArray[np.float64], sketch: NDArray[np.float32]) -> Result:
    if np.isfinite(probabilities).all():
        return Scored(item.claim, item.ecg, item.profile, probabilities, sketch)
    detail = "the model gave no number for this ECG: keep the file and report it with the model's version"
    return Refused(item.claim, Finding(Reason.SCORE_NOT_FINITE, detail))


def _parts(claims: Sequence[Claim]) -> Iterator[Sequence[Claim]]:
    for start in range(0, len(claims), CLAIMS_TOGETHER):
        yield claims[start : start + CLAIMS_TOGETHER]


@contextmanager
def _pools(settings: Settings) -> Iterator[Pools]:
    """Threads for a while; on an error what has not begun is dropped, what has begun ends."""
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
