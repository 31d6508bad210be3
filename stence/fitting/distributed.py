"""Distributed training of one model by several processes: sharding of rows, and gathering of results.

torchrun starts processes that run the same code. Without torchrun there is one process, and all functions
here do nothing.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed


def rank() -> int:
    """Return the rank of this process; 0 if it is alone."""
    return distributed.get_rank() if _is_joined() else 0


def world() -> int:
    """Return the number of processes (world size)."""
    return distributed.get_world_size() if _is_joined() else 1


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Join the process group if torchrun started this process. ``device`` is cpu or cuda.

    Each process uses the GPU of its local rank.
    """
    if "LOCAL_RANK" not in os.environ:
        yield
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield
    finally:
        # A model in DistributedDataParallel is part of a reference cycle that holds the group. Without this
        # collection, the group's threads would abort the process at exit: "terminate called".
        gc.collect()
        distributed.destroy_process_group()


def shard(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return this process' shard of a batch. Shards are equal, so up to ``world() - 1`` rows are dropped."""
    return rows[: len(rows) // world() * world()][rank() :: world()]


def gathered(own: Tensor) -> Tensor:
    """Gather ``own`` (n, ...) of all processes in the order of ranks: (world * n, ...).

    The gradient of a row flows back to its process, summed over all processes. Each process computes the loss
    of all rows, and DistributedDataParallel averages the gradients. The result equals the gradient of a
    single process with the whole batch.
    """
    if world() == 1:
        return own
    rows: Tensor = _Gather.apply(own.contiguous())  # type: ignore[no-untyped-call]
    return rows


def wait_for_all() -> None:
    """Wait until every process has reached this point (barrier)."""
    if world() > 1:
        distributed.barrier()


def from_first(value: float) -> float:
    """Broadcast the ``value`` of the first process to all."""
    if world() == 1:
        return value
    box: list[Any] = [value]
    distributed.broadcast_object_list(box, src=0)
    return float(box[0])


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, own: Tensor) -> Tensor:
        rows = [torch.empty_like(own) for _ in range(world())]
        distributed.all_gather(rows, own)
        return torch.cat(rows)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        total = gradient.contiguous()
        distributed.all_reduce(total)
        return total.chunk(world())[rank()]


def _is_joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()
