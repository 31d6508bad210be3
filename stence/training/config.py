"""Training configurations: YAML files, one per preset, or a hospital's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stence.cohort.held_out import PatientSplit, SplitConfig
from stence.domain.targets import DECISIVE, DEGREES
from stence.domain.thresholds import Rule, Workload
from stence.evaluation.forms import FormsConfig
from stence.fitting.finetuning import TrainingConfig
from stence.fitting.pretraining import PretrainingConfig
from stence.fitting.teacher import TeacherConfig
from stence.presets import read_config
from stence.training.gate import GateConfig

PRESETS = Path(__file__).parent / "presets"
SEEDED = ("teacher", "pretraining", "finetuning")
"""Sections that receive the common seed."""


class SupervisedConfig(BaseModel):
    """Hyperparameters of a training on cath reports alone; stored in the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0, description="Seed of every stage without a seed of its own.")
    cpu_threads: int | None = Field(
        None, ge=1, description="Threads of torch on a CPU; none: torch's default."
    )
    days_before_study: float = Field(30, gt=0, description="Maximum age of an ECG at its study.")
    split: SplitConfig = Field(PatientSplit(), description="Who is in test besides the patients by hash.")
    finetuning: TrainingConfig
    age_and_sex: bool = Field(True, description="Fuse the ECG with age and sex; false: the ECG alone.")
    unreferred_patients: int = Field(
        3000, ge=0, description="Patients without a study whose ECG shows the screened population; 0: none."
    )
    decisive: str = Field(DECISIVE, description="Target that decides who is on the list; the others inform.")
    threshold: Rule = Field(
        Workload(100), description="Rule that sets the decisive target's threshold, and those of the others."
    )
    bootstrap_resamples: int = Field(
        1000, ge=100, description="Bootstrap resamples of patients per interval."
    )
    gate: GateConfig = GateConfig()
    forms: FormsConfig = FormsConfig()

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

    @field_validator("decisive")
    @classmethod
    def _check_decisive(cls, given: str) -> str:
        if given not in DEGREES:
            raise ValueError(f"expected one of {', '.join(DEGREES)}")
        return given


class RetrainConfig(SupervisedConfig):
    """Hyperparameters of a retraining with angiograms; stored in the manifest."""

    backbone: Literal["dinov2-vits14", "segment-mil", "ridges"] = Field(
        description="Network that computes patch features; segment-mil: the imported teacher's own."
    )
    augmented_copies: int = Field(4, ge=1, description="Augmented copies of a frame's features.")
    frames_per_view: int = Field(
        1, ge=1, le=15, description="Consecutive frames of a run, around the one with the most contrast."
    )
    teacher: TeacherConfig = TeacherConfig()
    pretraining: PretrainingConfig = PretrainingConfig()
    seeds: int = Field(
        1,
        ge=1,
        description="Fine-tunings that differ by their seed; the first is the model, all are on the card.",
    )

    @property
    def supervised(self) -> SupervisedConfig:
        """The settings that a training without angiograms uses."""
        return SupervisedConfig(**{name: getattr(self, name) for name in SupervisedConfig.model_fields})


def preset_names() -> list[str]:
    """Return the names of the presets in this package."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load_preset(name_or_path: str) -> RetrainConfig:
    """Read the configuration of a preset, given its name, or of a YAML file, given its path.

    Raises ConfigurationError, which names every key that is unknown, missing or invalid.
    """
    return read_config(name_or_path, PRESETS, RetrainConfig, "training")
