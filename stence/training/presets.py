"""Training configurations by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from stence.ecg.augmentation import Augmentation
from stence.models.thresholds import Rule, Workload


class TrainingConfig(BaseModel):
    """Everything that decides what a training learns from given data; it is kept in the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str = Field("otis", description="Name in the registry of stence.encoders.")
    encoder_config: dict[str, Any] = Field({}, description="Arguments of the encoder.")
    days_before_study: float = Field(30, gt=0, description="How old an ECG may be at its study.")
    seed: int = Field(0, ge=0)
    epochs: int = Field(ge=1)
    warmup_epochs: float = Field(5, ge=0, description="The learning rates rise linearly for so long.")
    patience: int = Field(ge=1, description="Epochs without a better validation AUROC before it stops.")
    batch_size: int = Field(80, ge=2)
    encoder_rate: float = Field(gt=0, description="Learning rate of the encoder.")
    head_rate: float = Field(gt=0, description="Learning rate of the head.")
    weight_decay: float = Field(0.05, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    gradient_clip: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    cpu_threads: int | None = Field(None, ge=1, description="Threads of torch on a CPU; none: its choice.")
    augmentation: Augmentation = Augmentation()
    threshold: Rule = Field(Workload(100), description="How each target's threshold is chosen.")
    bootstrap_resamples: int = Field(1000, ge=100, description="Resamples of patients behind an interval.")


PRESETS: Mapping[str, TrainingConfig] = MappingProxyType(
    {
        # A minute or so on a CPU, from scratch. In a single block only the class token needs to attend, with
        # many small heads, each of which learns to look for one kind of patch. The steps are so short that a
        # second thread saves little, and costs much where others use the cores.
        "practice": TrainingConfig(
            encoder_config={"width": 64, "depth": 1, "heads": 8},
            epochs=20,
            warmup_epochs=2,
            patience=10,
            batch_size=32,
            encoder_rate=3e-3,
            head_rate=3e-3,
            cpu_threads=1,
            bootstrap_resamples=500,
        ),
        # As StenCE was fine-tuned; its rates are not published, these are the defaults of its earlier code.
        "paper": TrainingConfig(epochs=10, patience=10, encoder_rate=3e-5, head_rate=1e-3),
    }
)
