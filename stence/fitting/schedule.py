"""How long a training goes on, and how large its steps are on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """AdamW with linear warm-up, then half a cosine down to ``final_rate``.

    ``accumulation`` batches make a step. The stage is judged every ``judge_every`` epochs and after the last
    one; it stops after ``patience`` epochs without a better judgement (None: never early).
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
        """The learning rate where the highest is ``peak``; ``epochs_done`` may be a fraction."""
        if epochs_done < self.warmup_epochs:
            return peak * epochs_done / self.warmup_epochs
        rest = max(self.epochs - self.warmup_epochs, 1e-9)
        share = 0.5 * (1 + math.cos(math.pi * (epochs_done - self.warmup_epochs) / rest))
        floor = min(self.final_rate, peak)
        return floor + (peak - floor) * share

    def is_judged(self, epoch: int) -> bool:
        """Whether the stage is judged after this epoch (the first one is 1)."""
        return epoch % self.judge_every == 0 or epoch == self.epochs

    def is_over(self, epochs: int, best_epoch: int) -> bool:
        """Whether ``epochs`` were enough, the best of them being ``best_epoch``."""
        stale = self.patience is not None and epochs - best_epoch >= self.patience
        return epochs >= self.epochs or stale
