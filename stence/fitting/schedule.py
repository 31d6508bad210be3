"""Schedule of a training: learning rate, evaluation epochs and early stopping."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """AdamW with linear warm-up, then cosine decay to ``final_rate``.

    A step accumulates the gradients of ``accumulation`` batches. The stage is evaluated every ``judge_every``
    epochs and after the last epoch. Training stops after ``patience`` epochs without a better validation
    metric (None: no early stopping).
    """

    epochs: int
    warmup_epochs: float
    weight_decay: float
    gradient_clip: float
    seed: int
    final_rate: float = 0.0
    accumulation: int = 1
    patience: int | None = None
    judge_every: int = 1

    def rate(self, peak: float, epochs_done: float) -> float:
        """Return the learning rate after ``epochs_done`` epochs, which may be a fraction, for a ``peak``."""
        if epochs_done < self.warmup_epochs:
            return peak * epochs_done / self.warmup_epochs
        rest = max(self.epochs - self.warmup_epochs, 1e-9)
        share = 0.5 * (1 + math.cos(math.pi * (epochs_done - self.warmup_epochs) / rest))
        floor = min(self.final_rate, peak)
        return floor + (peak - floor) * share

    def is_judged(self, epoch: int) -> bool:
        """Return True if the stage is evaluated after this epoch. The first epoch is 1."""
        return epoch % self.judge_every == 0 or epoch == self.epochs

    def is_over(self, epochs: int, best_epoch: int) -> bool:
        """Return True if training stops after ``epochs`` epochs, given the best epoch."""
        stale = self.patience is not None and epochs - best_epoch >= self.patience
        return epochs >= self.epochs or stale
