"""Batches of a run: claimed ECGs, and the shared memory that their windows are prepared in."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.domain.merged_patients import Patients
from stence.ecg.recording import LEADS
from stence.objects import ObjectStore
from stence.preparation import windows
from stence.preparation.job import Job, Measured, Prepared, Reply, Request
from stence.preparation.pool import Pool
from stence.preparation.reading import EcgFacts
from stence.preparation.rules import rules_of
from stence.scoring.scorer import Scorer
from stence.scoring.stage_timer import StageTimer
from stence.scoring.work import Claim
from stence.scoring.writing import Refused
from stence.settings import Settings

PREPARED_TOGETHER = 16
"""ECGs in one message to a process."""


class Ready(NamedTuple):
    """An ECG ready for the model, whose windows are in ``row`` of the shared memory."""

    claim: Claim
    row: int
    facts: EcgFacts
    measured: Measured
    signals: tuple[str, ...] | None


class Batch(NamedTuple):
    """ECGs that are claimed together. Their windows begin at row ``first`` of the shared memory."""

    first: int
    claims: Sequence[Claim]
    parts: Sequence[Future[Reply]]


class Batches:
    """Has batches prepared by child processes. At most ``settings.prefetch_batches + 2`` exist at once."""

    def __init__(
        self, store: ObjectStore, settings: Settings, scorer: Scorer, patients: Patients, timer: StageTimer
    ) -> None:
        rows = settings.batch_size * (settings.prefetch_batches + 2)
        self._free = deque(range(0, rows, settings.batch_size))
        self._job = Job(
            store,
            scorer.recipe,
            (rows, scorer.windows, len(LEADS), scorer.recipe.samples),
            rules_of(settings, store),
            patients,
            settings.max_bytes_in_flight // settings.decode_processes,
            settings.fetch_threads,
            settings.outage_seconds,
            settings.decode_seconds,
            settings.decode_memory_bytes,
        )
        self._timer = timer
        self._file = windows.create(self._job.shape)
        self._windows = windows.map_windows(self._file, self._job.shape)
        self._pool = Pool(self._job, self._file, settings.decode_processes)

    def begin(self, claims: Sequence[Claim]) -> Batch:
        """Begin to prepare ECGs. ``release`` must follow."""
        first = self._free.popleft()
        requests = [Request(row, claim.key, claim.identity) for row, claim in enumerate(claims, first)]
        return Batch(first, claims, [self._pool.submit(part) for part in _parts(requests)])

    def finished(self, batch: Batch) -> list[Ready | Refused]:
        """Wait for a batch. Raises StoreUnavailableError after ``settings.outage_seconds``."""
        return [result for part in batch.parts for result in self._results(batch, part.result())]

    def together(self, batch: Batch, ready: Sequence[Ready]) -> tuple[NDArray[np.float32], list[Ready]]:
        """Return the windows (n, windows, 12, samples) of a batch's ECGs, without gaps, and their order."""
        place = self._windows[batch.first :]
        rows = windows.close_gaps(place, [ecg.row - batch.first for ecg in ready])
        ordered = sorted(zip(rows, ready, strict=True), key=lambda pair: pair[0])
        return place[: len(ready)], [ecg for _, ecg in ordered]

    def release(self, batch: Batch) -> None:
        """Let another batch have the memory."""
        self._free.append(batch.first)

    def close(self) -> None:
        """Leave the idle processes to the next run."""
        self._pool.close()
        os.close(self._file)

    def stop(self) -> None:
        """End the processes at once, whatever they are doing."""
        self._pool.stop()
        os.close(self._file)

    def _results(self, batch: Batch, reply: Reply) -> Iterator[Ready | Refused]:
        for stage, seconds in reply.seconds.items():
            self._timer.add(stage, seconds)
        for answer in reply.answers:
            claim = batch.claims[answer.row - batch.first]
            if isinstance(answer, Prepared):
                yield Ready(claim, *answer._replace(facts=self._verified(answer.facts)))
            else:
                yield Refused(claim, answer.finding, answer.signals)

    def _verified(self, facts: EcgFacts) -> EcgFacts:
        """Drop a number that is not the pseudonym's: a child that a file controls may not spoil the map."""
        is_own = facts.number is not None and self._job.rules.pseudonyms.of(facts.number) == facts.patient_id
        return facts if is_own else facts._replace(number=None)


def _parts(requests: Sequence[Request]) -> Iterator[Sequence[Request]]:
    for start in range(0, len(requests), PREPARED_TOGETHER):
        yield requests[start : start + PREPARED_TOGETHER]
