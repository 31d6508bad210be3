"""Configurations of trainings: readable YAML files, one for each preset, or a hospital's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stence.domain.thresholds import Rule, Workload
from stence.fitting.finetuning import TrainingConfig
from stence.fitting.pretraining import PretrainingConfig
from stence.fitting.teacher import TeacherConfig
from stence.presets import read_config
from stence.training.gate import GateConfig

PRESETS = Path(__file__).parent / "presets"
SEEDED = ("teacher", "pretraining", "finetuning")
"""Sections that the one seed goes to."""


class SupervisedConfig(BaseModel):
    """All that decides what a training on cath reports alone makes of given data; kept in the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0, description="Of every stage that names none of its own.")
    cpu_threads: int | None = Field(None, ge=1, description="Threads of torch on a CPU; none: its choice.")
    days_before_study: float = Field(30, gt=0, description="How old an ECG may be at its study.")
    finetuning: TrainingConfig
    threshold: Rule = Field(Workload(100), description="How each target's threshold is chosen.")
    bootstrap_resamples: int = Field(1000, ge=100, description="Resamples of patients behind an interval.")

    @model_validator(mode="before")
    @classmethod
    def _share_seed(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "seed" not in given:
            return given
        sections = {name: given.get(name, {}) for name in SEEDED if name in cls.model_fields}
        return given | {
            name: {"seed": given["seed"]} | section
            for name, section in sections.items()
            if isinstance(section, dict)
        }


class RetrainConfig(SupervisedConfig):
    """All that decides what a retraining with angiograms makes of given data; kept in the manifest."""

    backbone: Literal["dinov2-vits14", "ridges"] = Field(description="What makes patch features of frames.")
    augmented_copies: int = Field(4, ge=1, description="Augmented features of a frame beside its plain ones.")
    teacher: TeacherConfig = TeacherConfig()
    pretraining: PretrainingConfig = PretrainingConfig()
    gate: GateConfig = GateConfig()

    @property
    def supervised(self) -> SupervisedConfig:
        """What of it a training without angiograms uses."""
        return SupervisedConfig(**{name: getattr(self, name) for name in SupervisedConfig.model_fields})


def preset_names() -> list[str]:
    """The presets that come with the product."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load_preset(name_or_path: str) -> RetrainConfig:
    """The configuration of a preset's name, or in a YAML file.

    Raises ConfigurationError, which names every key that is unknown, missing or has an impossible value.
    """
    return read_config(name_or_path, PRESETS, RetrainConfig, "training")
