"""The engine of a GPU: blocks of one size, on their way to the GPU while others are computed.

A block is copied from pinned memory on a stream of its own, computed on a second stream, and its results are
copied back without waiting. The host waits only for a buffer that it wants to fill again. The streams and
events are those of ``torch.cuda``; with the device ``cpu`` they are torch's stand-ins, which do nothing, so
that tests can follow the blocks without a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import cycle
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stence.inference.engine import AnsweringNetwork, Ecgs, Inferred

BLOCK = 256
"""ECGs in a block. The last block is padded with zeros to this size, because matrix products of another shape
round differently."""
BUFFERS = 3
"""Blocks on the host's side: one is filled, one copied, and one waits."""


class Blocks:
    """Infers blocks of ECGs on ``device``; a thread of its own fills and starts them."""

    def __init__(self, network: AnsweringNetwork, device: str) -> None:
        self._network, self._device = network, device
        self._api: Any = torch.cuda if device == "cuda" else torch.cpu
        self._copying, self._computing = self._api.Stream(), self._api.Stream()
        self._computing.wait_stream(self._api.current_stream())  # the weights are on their way
        self._buffers: Iterator[_Buffer] = iter(())
        self._shape: tuple[int, ...] = ()
        self._thread = ThreadPoolExecutor(1, "blocks")

    def start(self, ecgs: Ecgs) -> PendingBlocks:
        """Start the inference of ECGs (n, windows, 12, samples), after those started before."""
        return PendingBlocks(self._thread.submit(self._launch_all, ecgs))

    def _launch_all(self, ecgs: Ecgs) -> _Launched:
        if ecgs.shape[1:] != self._shape:
            self._shape = ecgs.shape[1:]
            self._buffers = cycle([_Buffer(self._api, self._shape, self._device) for _ in range(BUFFERS)])
        launched = _Launched(self._api, self._network, len(ecgs), self._device)
        for start in range(0, len(ecgs), BLOCK):
            self._launch(ecgs[start : start + BLOCK], start, launched)
        launched.done.record(self._computing)
        return launched

    def _launch(self, part: Ecgs, start: int, launched: _Launched) -> None:
        buffer = next(self._buffers)
        buffer.fill(part)
        with self._on(self._copying):
            buffer.send(self._copying)
        with self._on(self._computing):
            buffer.copied.wait(self._computing)
            answers = self._network.embed_and_answer(buffer.on_device)
            buffer.read.record(self._computing)
            launched.fetch(slice(start, start + len(part)), *answers)

    def _on(self, stream: Any) -> AbstractContextManager[None]:
        context: AbstractContextManager[None] = self._api.stream(stream)
        return context


class PendingBlocks:
    """Blocks of ECGs on their way."""

    def __init__(self, launched: Future[_Launched]) -> None:
        self._launched = launched

    def result(self) -> Inferred:
        """Wait for the results and return them. Raises the errors of the inference."""
        return self._launched.result().collect()

    def cancel(self) -> None:
        """Drop the blocks if none has begun."""
        self._launched.cancel()


class _Buffer:
    """Room for one block on the host and on the device."""

    def __init__(self, api: Any, shape: tuple[int, ...], device: str) -> None:
        self._on_host = _pinned((BLOCK, *shape), device)
        self.on_device = torch.empty((BLOCK, *shape), device=device)
        self.copied, self.read = api.Event(), api.Event()

    def fill(self, part: Ecgs) -> None:
        """Put ECGs in, once the block before has left; the rest is 0."""
        self.copied.synchronize()
        room = self._on_host.numpy()
        room[: len(part)] = part
        room[len(part) :] = 0

    def send(self, stream: Any) -> None:
        """Copy to the device on ``stream``, once the block before was read there."""
        self.read.wait(stream)
        self.on_device.copy_(self._on_host, non_blocking=True)
        self.copied.record(stream)


class _Launched:
    """Results of one call on their way back, and the event after the last."""

    def __init__(self, api: Any, network: AnsweringNetwork, count: int, device: str) -> None:
        self.done = api.Event()
        self._embeddings = _pinned((count, network.size), device)
        self._logits = _pinned((count, network.outputs), device)

    def fetch(self, rows: slice, embeddings: Tensor, logits: Tensor) -> None:
        """Copy the results of a block back on the current stream, without those of its padding."""
        count = rows.stop - rows.start
        self._embeddings[rows].copy_(embeddings[:count], non_blocking=True)
        self._logits[rows].copy_(logits[:count], non_blocking=True)

    def collect(self) -> Inferred:
        """Wait for the last result, and return all."""
        self.done.synchronize()
        return Inferred(self._embeddings.numpy(), self._logits.numpy().astype(np.float64))


def _pinned(shape: tuple[int, ...], device: str) -> Tensor:
    """Return a float32 tensor on the host; pinned for a GPU, so that copies need not wait for each other."""
    return torch.empty(shape, pin_memory=device == "cuda")
