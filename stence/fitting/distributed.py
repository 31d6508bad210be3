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
from torch import Tensor, distributed, nn

from stence.errors import StenceError


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
    """Return this process' shard of a batch. Sizes of shards differ by at most one row; none is dropped.

    Raises StenceError if there are fewer rows than processes.
    """
    if len(rows) < world():
        raise StenceError(
            f"A batch of {len(rows)} cannot be shared by {world()} processes: lower "
            "STENCE_TRAINING_PROCESSES, or use larger batches."
        )
    return rows[rank() :: world()]


def gathered(own: Tensor) -> Tensor:
    """Gather ``own`` (n, ...) of all processes in the order of ranks: (sum of all n, ...).

    The gradient of a row flows back to its process, summed over all processes. Each process computes the loss
    of all rows, and DistributedDataParallel averages the gradients. The result equals the gradient of a
    single process with the whole batch.
    """
    if world() == 1:
        return own
    rows: Tensor = _Gather.apply(own.contiguous())  # type: ignore[no-untyped-call]
    return rows


def synchronise_batch_norms(module: nn.Module) -> None:
    """Make every BatchNorm1d in ``module`` normalise with the rows of all processes, in training.

    A process has few rows of a batch, whose own statistics would differ from those of a single process.
    Weights, statistics and their names stay.
    """
    for part in module.modules():
        if type(part) is nn.BatchNorm1d:
            part.__class__ = _SharedBatchNorm


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
        sizes = _sizes(own)
        padded = own.new_zeros((max(sizes), *own.shape[1:]))  # shards differ, messages may not
        padded[: len(own)] = own
        rows = [torch.empty_like(padded) for _ in sizes]
        distributed.all_gather(rows, padded)
        context.sizes = sizes
        return torch.cat([part[:size] for part, size in zip(rows, sizes, strict=True)])

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        total = gradient.contiguous()
        distributed.all_reduce(total)
        return torch.split(total, context.sizes)[rank()]


def _sizes(own: Tensor) -> list[int]:
    """Return the number of rows of each process."""
    counts = [torch.zeros(1, dtype=torch.int64, device=own.device) for _ in range(world())]
    distributed.all_gather(counts, torch.tensor([len(own)], device=own.device))
    return [int(count) for count in counts]


class _Sum(torch.autograd.Function):
    """Sum over all processes. The gradient is summed too, as in ``gathered``."""

    @staticmethod
    def forward(context: Any, own: Tensor) -> Tensor:
        total = own.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


class _SharedBatchNorm(nn.BatchNorm1d):
    """BatchNorm1d with mean and variance of the rows of all processes, in training.

    ``torch.nn.SyncBatchNorm`` does the same on GPUs only.
    """

    def forward(self, rows: Tensor) -> Tensor:
        if not self.training or world() == 1:
            return super().forward(rows)
        axes, values = [0, *range(2, rows.ndim)], rows.float()
        shape = [1, -1, *[1] * (rows.ndim - 2)]
        count = values.new_tensor([values.numel() / values.shape[1]])
        distributed.all_reduce(count)
        mean: Tensor = _Sum.apply(values.sum(axes)) / count  # type: ignore[no-untyped-call]
        centred = values - mean.view(shape)
        variance: Tensor = _Sum.apply(centred.square().sum(axes)) / count  # type: ignore[no-untyped-call]
        self._track(mean.detach(), (variance * count / (count - 1)).detach())
        result = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            result = result * self.weight.view(shape) + self.bias.view(shape)
        return result.to(rows.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards those of the batch."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def _is_joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()
