"""Training: from cath reports, angiograms and ECGs in the store to an evaluated model in the registry."""

from __future__ import annotations

from stence.fitting.finetuning import TrainingConfig
from stence.training.config import RetrainConfig, SupervisedConfig, load_preset, preset_names
from stence.training.retrain import Retraining, open_retraining
from stence.training.stages import STAGES
from stence.training.supervised import train

__all__ = [
    "STAGES",
    "RetrainConfig",
    "Retraining",
    "SupervisedConfig",
    "TrainingConfig",
    "load_preset",
    "open_retraining",
    "preset_names",
    "train",
]
