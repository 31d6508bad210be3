"""Training: from cath reports and ECGs in the store to a candidate in the registry."""

from __future__ import annotations

from stence.training.config import RetrainConfig, SupervisedConfig, load_preset, preset_names
from stence.training.finetuning import TrainingConfig
from stence.training.supervised import train

__all__ = [
    "RetrainConfig",
    "SupervisedConfig",
    "TrainingConfig",
    "load_preset",
    "preset_names",
    "train",
]
