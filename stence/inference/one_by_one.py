"""The engine of a CPU: one ECG a thread."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from stence.inference.engine import AnsweringNetwork, Ecgs, Inferred

Answer = tuple[Tensor, Tensor]


class OneByOne:
    """Infers each ECG in its own CPU thread, as many at once as torch has threads.

    Threads that share an ECG would wait for each other in every layer. Their number would also change the
    last digits of the results.
    """

    def __init__(self, network: AnsweringNetwork) -> None:
        self._network = network
        self._threads = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(
            self._threads, "infer", initializer=torch.set_num_threads, initargs=(1,)
        )

    def start(self, ecgs: Ecgs) -> PendingOneByOne:
        """Start the inference of ECGs (n, windows, 12, samples), after those started before."""
        futures = [self._pool.submit(self._infer, ecg) for ecg in ecgs]
        return PendingOneByOne(self._network, futures, self._threads)

    def _infer(self, ecg: Ecgs) -> Answer:
        return self._network.embed_and_answer(torch.from_numpy(ecg[None].astype(np.float32)))


class PendingOneByOne:
    """ECGs that wait for their thread. Those of an abandoned object are dropped."""

    def __init__(self, network: AnsweringNetwork, futures: Sequence[Future[Answer]], threads: int) -> None:
        self._network, self._futures, self._threads = network, futures, threads
        weakref.finalize(self, _drop, futures)

    def result(self) -> Inferred:
        """Wait for the results and return them. Raises the errors of the inference."""
        count = len(self._futures)
        found = Inferred(
            np.empty((count, self._network.size), np.float32), np.empty((count, self._network.outputs))
        )
        for row, future in enumerate(self._futures):
            embedding, logits = future.result()
            found.embeddings[row], found.logits[row] = embedding[0].numpy(), logits[0].numpy()
        torch.set_num_threads(self._threads)  # the pool's threads set the default of new threads to 1
        return found

    def cancel(self) -> None:
        """Drop the ECGs that have no thread yet."""
        _drop(self._futures)


def _drop(futures: Sequence[Future[Answer]]) -> None:
    for future in futures:
        future.cancel()
