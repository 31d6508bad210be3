"""Several processes that train one model: who takes which rows, and how they see each other's results.

Started by torchrun, every process runs the same code; without it there is one process, and all functions
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
    """The number of this process, 0 where it is alone."""
    return distributed.get_rank() if _is_joined() else 0


def world() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if _is_joined() else 1


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Meet the other processes that torchrun started, if it started this one; ``device`` is cpu or cuda.

    On GPUs each process takes the one of its number on the machine.
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
        # A model that trained in DistributedDataParallel lies in a reference cycle and holds the group. Left
        # to the interpreter's end, the group's threads would abort the process there: "terminate called".
        gc.collect()
        distributed.destroy_process_group()


def shard(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """This process' rows of a batch: as many for each, so up to ``world() - 1`` rows are left out."""
    return rows[: len(rows) // world() * world()][rank() :: world()]


def gathered(own: Tensor) -> Tensor:
    """All processes' ``own`` (n, ...) in the order of ranks: (world * n, ...).

    Gradients flow back to the process that a row came from, summed over all processes. So where each computes
    the loss of all rows and gradients are then averaged (as DistributedDataParallel does), they are those
    that one process would have with the whole batch.
    """
    if world() == 1:
        return own
    rows: Tensor = _Gather.apply(own.contiguous())  # type: ignore[no-untyped-call]
    return rows


def wait_for_all() -> None:
    """Go on when every process has come here."""
    if world() > 1:
        distributed.barrier()


def from_first(value: float) -> float:
    """The first process' ``value``, for all."""
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
