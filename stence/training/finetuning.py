"""Fitting a risk model to labelled ECGs: random 3 s crops, AdamW with two rates, the best epoch kept."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stence import encoders
from stence.cohort import Part
from stence.ecg import LEADS, WINDOW_SAMPLES, preprocess
from stence.models import RiskModel
from stence.models.coherence import answers, probabilities
from stence.models.risk import InferenceForm
from stence.models.scorer import forward
from stence.progress import Progress
from stence.training import checkpoint
from stence.training.evaluation import auroc
from stence.training.losses import tree_loss
from stence.training.presets import TrainingConfig

ECGS_READ_TOGETHER = 512


@dataclass(slots=True)
class Course:
    """How a training went so far: JSON for the checkpoint and the manifest."""

    epochs: int = 0
    best_epoch: int = 0
    best_validation_auroc: float = -math.inf
    training_losses: list[float] = field(default_factory=list)
    validation_aurocs: list[float] = field(default_factory=list)


def build(config: TrainingConfig) -> RiskModel:
    """The model of a configuration, with first weights that its seed decides."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return RiskModel(encoders.build(config.encoder, **config.encoder_config))


def fit(
    config: TrainingConfig, train: Part, validation: Part, device: str, saved: Path, tell: Progress
) -> tuple[RiskModel, Course]:
    """Train, going on from the checkpoint ``saved`` where there is one, and return the best epoch's model.

    The best epoch is that of the highest mean validation AUROC of the six targets. The same data, seed and
    machine give the same weights, also when training was interrupted.
    """
    return _Fitting(config, train, validation, device, saved).run(tell)


def ecg_logits(model: RiskModel, part: Part, device: str) -> NDArray[np.float64]:
    """Logits (n, 6) of a part that is kept as models read it, computed as the scorer does."""
    network = InferenceForm(model).to(device)
    blocks = [
        forward(network, part.signals[part.rows[start : start + ECGS_READ_TOGETHER]], device)
        for start in range(0, len(part), ECGS_READ_TOGETHER)
    ]
    return np.concatenate(blocks)


class _Fitting:
    def __init__(
        self, config: TrainingConfig, train: Part, validation: Part, device: str, saved: Path
    ) -> None:
        self._config, self._train, self._validation = config, train, validation
        self._device, self._saved = device, saved
        self._answers = torch.from_numpy(answers(train.labels)).to(device)
        self._weights = torch.from_numpy(train.weights.astype(np.float32)).to(device)
        self._model = build(config).to(device)
        self._best = _copy(self._model)
        self._optimizer = torch.optim.AdamW(
            [
                {"params": list(self._model.encoder.parameters()), "rate": config.encoder_rate},
                {"params": self._model.head_parameters(), "rate": config.head_rate},
            ],
            weight_decay=config.weight_decay,
        )
        self._course = Course()

    def run(self, tell: Progress) -> tuple[RiskModel, Course]:
        self._resume()
        course = self._course
        while course.epochs < self._config.epochs and not self._is_stale():
            self._learn()
            self._judge()
            self._save()
            note = f"epoch {course.epochs}: validation AUROC {course.validation_aurocs[-1]:.3f}"
            tell("train", course.epochs, self._config.epochs, note)
        self._model.load_state_dict(self._best)
        return self._model.eval(), course

    def _is_stale(self) -> bool:
        return self._course.epochs - self._course.best_epoch >= self._config.patience

    def _learn(self) -> None:
        """One epoch. All its random numbers come from the seed and its number."""
        epoch = self._course.epochs
        rng = np.random.default_rng((self._config.seed, epoch))
        generator = torch.Generator(self._device).manual_seed(int(rng.integers(2**63)))
        losses = []
        with torch.random.fork_rng():
            torch.manual_seed(int(rng.integers(2**63)))
            self._model.train()
            batches = self._batches(rng)
            for number, rows in enumerate(batches):
                self._set_rates(epoch + (number + 1) / len(batches))
                windows = torch.from_numpy(self._crops(rows, rng)).to(self._device)
                losses.append(self._step(self._config.augmentation.apply(windows, generator), rows))
        self._course.training_losses.append(float(np.mean(losses)))
        self._course.epochs += 1

    def _batches(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """Shuffled batches of one size; what does not fill the last one waits for another epoch."""
        order = rng.permutation(len(self._train))
        size = min(self._config.batch_size, len(order))
        return [order[start : start + size] for start in range(0, len(order) - size + 1, size)]

    def _crops(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
        """A random 3 s of each ECG, prepared."""
        part = self._train
        crops = np.empty((len(rows), len(LEADS), WINDOW_SAMPLES), dtype=np.float32)
        starts = rng.integers(np.maximum(part.samples[rows] - WINDOW_SAMPLES, 0) + 1)
        for crop, row, start in zip(crops, part.rows[rows], starts, strict=True):
            crop[:] = part.signals[row, :, start : start + WINDOW_SAMPLES]
        return preprocess(crops)

    def _step(self, windows: Tensor, rows: NDArray[np.int64]) -> float:
        chosen = torch.from_numpy(rows).to(self._device)
        with self._precision():
            logits = self._model(windows)
        loss = tree_loss(
            logits.float(), self._answers[chosen], self._weights[chosen], self._config.label_smoothing
        )
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._model.parameters(), self._config.gradient_clip)
        self._optimizer.step()
        return loss.item()

    def _precision(self) -> AbstractContextManager[Any]:
        """Mixed precision pays on a GPU only; bfloat16 needs no scaling of the loss."""
        return torch.autocast(self._device, torch.bfloat16, enabled=self._device == "cuda")

    def _set_rates(self, epochs_done: float) -> None:
        """Linear warm-up, then half a cosine down to zero."""
        warmup, total = self._config.warmup_epochs, self._config.epochs
        if epochs_done < warmup:
            factor = epochs_done / warmup
        else:
            factor = 0.5 * (1 + math.cos(math.pi * (epochs_done - warmup) / max(total - warmup, 1e-9)))
        for group in self._optimizer.param_groups:
            group["lr"] = group["rate"] * factor

    def _judge(self) -> None:
        course = self._course
        logits = ecg_logits(self._model, self._validation, self._device)
        course.validation_aurocs.append(auroc(probabilities(logits), self._validation.labels))
        if course.validation_aurocs[-1] > course.best_validation_auroc:
            course.best_validation_auroc, course.best_epoch = course.validation_aurocs[-1], course.epochs
            self._best = _copy(self._model)

    def _save(self) -> None:
        groups = {
            "model": self._model.state_dict(),
            "best": self._best,
            "optimizer": checkpoint.optimizer_tensors(self._optimizer),
        }
        checkpoint.write(self._saved, groups, asdict(self._course))

    def _resume(self) -> None:
        if found := checkpoint.read(self._saved):
            groups, state = found
            self._model.load_state_dict(groups["model"])
            self._best = groups["best"]
            checkpoint.restore_optimizer(self._optimizer, groups["optimizer"])
            self._course = Course(**state)


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
