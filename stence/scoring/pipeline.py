"""The scoring pipeline: claim -> fetch, decode, check, prepare -> infer -> write. Stages run concurrently.

Child processes fetch and prepare, the calling thread claims and starts the model, and one further thread
writes. ``settings.prefetch_batches`` limits the batches between two stages, ``settings.max_bytes_in_flight``
limits their files. So memory is independent of the size of the worklist and of the store.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.ecg import Finding, Reason
from stence.models import clinical_values
from stence.progress import Progress
from stence.scoring.batches import Batch, Batches, Ready
from stence.scoring.scorer import PendingScores, Scorer
from stence.scoring.stage_timer import StageTimer
from stence.scoring.work import Worklist
from stence.scoring.writing import Refused, Result, Scored, Writer
from stence.settings import Settings


class Started(NamedTuple):
    """A batch whose scores are being computed; ``pending`` is None if none of its ECGs is ready."""

    batch: Batch
    refused: Sequence[Refused]
    ready: Sequence[Ready]
    pending: PendingScores | None


class Pipeline:
    """Scores the ECGs of a worklist with one model. ``batches`` opens the preparation of its ECGs."""

    def __init__(
        self,
        settings: Settings,
        scorer: Scorer,
        worklist: Worklist,
        writer: Writer,
        timer: StageTimer,
        batches: Callable[[], Batches],
    ) -> None:
        self._settings = settings
        self._scorer = scorer
        self._worklist = worklist
        self._writer = writer
        self._timer = timer
        self._open_batches = batches
        self._batches: Batches | None = None

    def run(self, limit: int, progress: Progress) -> int:
        """Score up to ``limit`` ECGs, and return the number of claimed ECGs.

        Raises StoreUnavailableError or DatabaseUnavailableError after ``settings.outage_seconds``. Claimed
        ECGs without result then stay leased, and the run releases them.
        """
        self._batches = self._batches or self._open_batches()
        try:
            return self._run(self._batches, limit, progress)
        except BaseException:
            self._batches.stop()
            self._batches = None
            raise

    def close(self) -> None:
        """Leave the child processes to the next run."""
        if self._batches is not None:
            self._batches.close()
            self._batches = None

    def _run(self, batches: Batches, limit: int, progress: Progress) -> int:
        done, started, writes = 0, deque[Started](), deque[Future[None]]()
        with _writing_thread() as writer, _cancelled_at_last(started):
            for batch in self._prepared(batches, limit):
                if batch is not None:
                    started.append(self._start(batches, batch))
                    done += len(batch.claims)
                while len(started) > (batch is not None):  # the model works on while a batch is written
                    writes.append(writer.submit(self._write, self._finish(batches, started.popleft())))
                while len(writes) > self._settings.prefetch_batches:
                    writes.popleft().result()
                progress("score", done)
            while started:
                writes.append(writer.submit(self._write, self._finish(batches, started.popleft())))
            for write in writes:
                write.result()
        return done

    def _prepared(self, batches: Batches, limit: int) -> Iterator[Batch | None]:
        """Yield claimed batches in order. The next ones are prepared at the same time.

        None: the run is about to wait for other scorers, who may wait for what it has not finished.
        """
        waiting: deque[Batch] = deque()
        left = limit
        while True:
            while left and len(waiting) <= self._settings.prefetch_batches:
                with self._timer("claim"):
                    claims = self._worklist.claim(min(self._settings.batch_size, left))
                if not claims:
                    break
                left -= len(claims)
                waiting.append(batches.begin(claims))
            if not waiting:
                yield None
                claims = self._worklist.claim_or_wait(min(self._settings.batch_size, left)) if left else []
                if not claims:
                    return
                left -= len(claims)
                waiting.append(batches.begin(claims))
            yield waiting.popleft()

    def _start(self, batches: Batches, batch: Batch) -> Started:
        """Wait until a batch is prepared, and start the model with what is still this run's to score."""
        results = batches.finished(batch)
        held = self._worklist.still_held(batch.claims)
        refused = [item for item in results if isinstance(item, Refused) and item.claim in held]
        ready = [item for item in results if isinstance(item, Ready) and item.claim in held]
        if not ready:
            return Started(batch, refused, ready, None)
        with self._timer("infer"):
            windows, ready = batches.together(batch, ready)
            return Started(batch, refused, ready, self._scorer.start(windows, _known(ready)))

    def _finish(self, batches: Batches, started: Started) -> list[Result]:
        """Wait for a batch's scores."""
        batch, refused, ready, pending = started
        results: list[Result] = list(refused)
        if pending is not None:
            with self._timer("infer"):
                results += map(_result, ready, *pending.result())
        batches.release(batch)
        return results

    def _write(self, results: Sequence[Result]) -> None:
        with self._timer("write"):
            self._writer.write(results)


@contextmanager
def _writing_thread() -> Iterator[ThreadPoolExecutor]:
    """Open a thread for a context. On an error, what waits for it is dropped."""
    writer = ThreadPoolExecutor(1, "write")
    try:
        yield writer
    finally:
        writer.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _cancelled_at_last(started: Iterable[Started]) -> Iterator[None]:
    """Cancel what the model still has before it when the context ends: an error, or Ctrl-C."""
    try:
        yield
    finally:
        for batch in started:
            if batch.pending is not None:
                batch.pending.cancel()


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
        return Scored(item.claim, item.facts, item.measured, *of_model, item.signals)
    detail = "the model's probability is not finite: keep the file and report it with the model's version"
    return Refused(item.claim, Finding(Reason.SCORE_NOT_FINITE, detail), item.signals)
