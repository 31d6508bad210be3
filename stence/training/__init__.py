"""Training: from cath reports and ECGs in the store to a candidate in the registry."""

from __future__ import annotations

from stence.training.presets import PRESETS, TrainingConfig
from stence.training.supervised import train

__all__ = ["PRESETS", "TrainingConfig", "train"]
