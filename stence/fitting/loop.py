"""Training loop of every stage: epochs of random batches, with the best epoch kept.

All randomness of an epoch comes from the seed, the epoch's number and the process' rank. So a killed training
resumes from its last complete epoch, and ends with the same weights as without the kill. Processes of
torchrun share each batch and average gradients.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from stence.errors import StenceError
from stence.fitting import checkpoint, distributed
from stence.fitting.schedule import Schedule
from stence.progress import Progress

Batch = TypeVar("Batch")


class Stage(Protocol[Batch]):
    """Interface of a training stage."""

    name: str
    module: nn.Module
    """All trained networks, already on the device. A checkpoint stores their weights."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the trainable parameters: ``{"params": [...], "rate": highest learning rate}`` each.

        A group with ``"frozen_epochs": k`` is frozen for the first k epochs.
        """

    def batches(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """Return the rows of each batch of an epoch."""

    def draw(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Batch:
        """Read and preprocess a batch, on the CPU.

        The loop draws the next batch in a thread, while the network processes the present batch.
        """

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the loss of a batch, with the module in training mode. ``generator`` is on the device.

        On a GPU it runs in mixed precision, so cast to float32 where precision matters.
        """

    def judge(self) -> float:
        """Return the validation metric of the module, usually an AUROC; higher is better."""


@dataclass(slots=True)
class TrainingHistory:
    """History of a training so far, as JSON for the checkpoint and the manifest.

    ``training_losses`` has the mean loss per epoch, ``validation_aurocs`` the validation AUROC per evaluated
    epoch (``judged_epochs``).
    """

    epochs: int = 0
    steps: int = 0
    best_epoch: int = 0
    best_validation_auroc: float = -math.inf
    training_losses: list[float] = field(default_factory=list)
    judged_epochs: list[int] = field(default_factory=list)
    validation_aurocs: list[float] = field(default_factory=list)


def run(
    stage: Stage[Any], schedule: Schedule, device: str, saved: Path, progress: Progress
) -> TrainingHistory:
    """Train, and keep the weights of the best epoch. Resume from the checkpoint ``saved`` if it exists.

    The same data, seed and machine give the same weights, also after an interruption. The first process
    writes ``saved`` after each epoch. The others read it to resume, so it must be on a shared disk. Raises
    StenceError if the loss or the validation metric is not a number.
    """
    return _Loop(stage, schedule, device, saved).run(progress)


class _Loop:
    def __init__(self, stage: Stage[Any], schedule: Schedule, device: str, saved: Path) -> None:
        self._stage, self._schedule, self._device, self._saved = stage, schedule, device, saved
        groups = stage.parameter_groups()
        self._optimizer = torch.optim.AdamW(groups, weight_decay=schedule.weight_decay, fused=True)
        self._learning = [weight for group in groups for weight in group["params"]]
        self._late = [
            (group["frozen_epochs"], group["params"]) for group in groups if "frozen_epochs" in group
        ]
        self._best = _copy(stage.module)
        self._history = TrainingHistory()
        self._loss: nn.Module = _Loss(stage)
        self._wrapped_for: tuple[bool, ...] | None = None
        if distributed.world() > 1:
            distributed.synchronise_batch_norms(stage.module)

    def run(self, progress: Progress) -> TrainingHistory:
        history, schedule = self._resumed(progress), self._schedule
        while not schedule.is_over(history.epochs, history.best_epoch):
            self._learn()
            note = f"epoch {history.epochs}: loss {history.training_losses[-1]:.4f}"
            if schedule.is_judged(history.epochs):
                self._judge()
                note += f", validation {history.validation_aurocs[-1]:.3f}"
            self._save()
            progress(self._stage.name, history.epochs, schedule.epochs, note)
        self._stage.module.load_state_dict(self._best)
        self._stage.module.eval()
        return history

    def _learn(self) -> None:
        """Train for one epoch."""
        seeds = (self._schedule.seed, self._history.epochs)
        batches = self._stage.batches(np.random.default_rng(seeds))
        rng = np.random.default_rng((*seeds, 1 + distributed.rank()))
        generator = torch.Generator(self._device).manual_seed(int(rng.integers(2**63)))
        losses: list[Tensor] = []
        with self._own_random_numbers():
            torch.manual_seed(int(rng.integers(2**63)))
            self._freeze()
            self._stage.module.train()
            drawn = self._drawn(batches, rng)
            for first in range(0, len(batches), self._schedule.accumulation):
                together = min(self._schedule.accumulation, len(batches) - first)
                self._set_rates(self._history.epochs + (first + together) / len(batches))
                losses += [self._add_gradient(next(drawn), generator, left) for left in _countdown(together)]
                self._step(together)
        self._history.training_losses.append(self._mean(losses))
        self._history.epochs += 1

    def _freeze(self) -> None:
        """Freeze the groups that learn later. Processes share the gradients of the others."""
        learn = tuple(self._history.epochs >= frozen_epochs for frozen_epochs, _ in self._late)
        if learn == self._wrapped_for:
            return
        self._wrapped_for = learn
        for learns, (_, weights) in zip(learn, self._late, strict=True):
            for weight in weights:
                weight.requires_grad_(learns)
        if distributed.world() > 1:
            self._loss = _Loss(self._stage)
            gc.collect()  # the former wrapper is part of a reference cycle, and would share gradients too
            self._loss = DistributedDataParallel(self._loss)

    def _drawn(self, batches: list[NDArray[np.int64]], rng: np.random.Generator) -> Iterator[Any]:
        """Yield this process' shard of each batch. The next batch is drawn ahead."""
        with ThreadPoolExecutor(1) as pool:
            ahead: Future[Any] | None = None
            for rows in batches:
                ready, ahead = ahead, pool.submit(self._stage.draw, distributed.shard(rows), rng)
                if ready is not None:
                    yield ready.result()
            if ahead is not None:
                yield ahead.result()

    def _add_gradient(self, batch: Any, generator: torch.Generator, left: int) -> Tensor:
        """Add the gradient of a batch, and return its loss. ``left`` more batches belong to the same step."""
        with self._unshared() if left else nullcontext():
            with self._precision():
                loss: Tensor = self._loss(batch, generator)
            loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _unshared(self) -> AbstractContextManager[None]:
        """Return a context without gradient averaging, which happens once per step."""
        if isinstance(self._loss, DistributedDataParallel):
            return self._loss.no_sync()
        return nullcontext()

    def _own_random_numbers(self) -> AbstractContextManager[None]:
        """Return a context with separate random numbers for dropout. It restores the caller's state."""
        return torch.random.fork_rng([torch.cuda.current_device()] if self._device == "cuda" else [])

    def _precision(self) -> AbstractContextManager[Any]:
        """Return an autocast context. Only GPUs gain from mixed precision; bfloat16 needs no loss scaling."""
        return torch.autocast(self._device, torch.bfloat16, enabled=self._device == "cuda")

    def _step(self, together: int) -> None:
        if together > 1:
            torch._foreach_div_([w.grad for w in self._learning if w.grad is not None], together)
        nn.utils.clip_grad_norm_(self._learning, self._schedule.gradient_clip)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._history.steps += 1

    def _set_rates(self, epochs_done: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self._schedule.rate(group["rate"], epochs_done)

    def _mean(self, losses: list[Tensor]) -> float:
        mean = torch.stack(losses).double().mean().item()
        if not math.isfinite(mean):
            raise StenceError(
                f"{self._stage.name}: the loss is no number any more in epoch {self._history.epochs + 1}; "
                f"lower the learning rates and delete {self._saved} to start anew."
            )
        return mean

    def _judge(self) -> None:
        history = self._history
        self._stage.module.eval()
        judgement = distributed.from_first(self._stage.judge() if distributed.rank() == 0 else math.nan)
        if math.isnan(judgement):
            raise StenceError(
                f"{self._stage.name}: the best epoch is undefined, because the validation patients are all "
                "with or all without stenosis; wait for more cath reports."
            )
        history.judged_epochs.append(history.epochs)
        history.validation_aurocs.append(judgement)
        if judgement > history.best_validation_auroc:
            history.best_validation_auroc, history.best_epoch = judgement, history.epochs
            self._best = _copy(self._stage.module)

    def _save(self) -> None:
        if distributed.rank() == 0:
            groups = {
                "model": self._stage.module.state_dict(),
                "best": self._best,
                "optimizer": checkpoint.optimizer_tensors(self._optimizer),
            }
            checkpoint.write(self._saved, groups, asdict(self._history))

    def _resumed(self, progress: Progress) -> TrainingHistory:
        """Restore the checkpoint if there is one, and return its history; else return an empty history."""
        distributed.wait_for_all()  # the first process may still write
        if found := checkpoint.read(self._saved):
            groups, state = found
            self._stage.module.load_state_dict(groups["model"])
            self._best = groups["best"]
            checkpoint.restore_optimizer(self._optimizer, groups["optimizer"])
            self._history = TrainingHistory(**state)
            note = f"resumed at epoch {self._history.epochs} (step {self._history.steps})"
            progress(self._stage.name, self._history.epochs, self._schedule.epochs, note)
        if distributed.from_first(self._history.epochs) != self._history.epochs:
            raise StenceError(
                f"The processes do not see the same {self._saved}: put it on a disk they share."
            )
        return self._history


class _Loss(nn.Module):
    """A stage's loss as a module. DistributedDataParallel tracks the use of parameters in forward calls."""

    def __init__(self, stage: Stage[Any]) -> None:
        super().__init__()
        self.module = stage.module
        self._of = stage.loss

    def forward(self, batch: Any, generator: torch.Generator) -> Tensor:
        return self._of(batch, generator)


def _countdown(count: int) -> range:
    return range(count - 1, -1, -1)


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
