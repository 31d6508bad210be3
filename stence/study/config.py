"""Configuration of a study: one YAML file that defines a grid of trainings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from stence.ecg.recipes import Kind, Recipe, recipe
from stence.encoders import encoder_for
from stence.fitting.finetuning import TrainingConfig
from stence.fitting.pretraining import Objective, PretrainingConfig
from stence.fitting.tasks import BinaryTask
from stence.fitting.teacher import TeacherConfig
from stence.presets import in_words, read_config
from stence.weights import ECG_ENCODER, IMPORTABLES

PRESETS = Path(__file__).parent / "presets"
OF_THE_GRID = {
    "teacher": {"seed", "weights", "finetune_blocks", "backbone_rate"},
    "pretraining": {"seed", "objective", "permute_pairs"},
    "finetuning": {"seed", "encoder", "encoder_config", "recipe", "weights", "label_fraction"},
}
"""Keys of each section that the study sets itself."""
Changes = dict[str, Any]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)]


class Arm(StrEnum):
    """Origin of the encoder that fine-tuning starts from."""

    SCRATCH = "scratch"
    PUBLISHED = "published"
    STENCE = "StenCE"
    CLIP_ONLY = "CLIP-only"
    """Pretraining without the stenosis term."""
    PERMUTED_PAIRS = "permuted-pairs"
    """Pretraining with the ECGs of another training patient in each pair."""
    STENOSIS_ONLY = "stenosis-only"
    """Pretraining without the contrastive term: the ECG learns the reports' stenosis targets."""
    DISTILLATION = "distillation"
    """Pretraining without the contrastive term: the ECG learns the teacher's probabilities."""


BASELINES = (Arm.SCRATCH, Arm.PUBLISHED)
"""Arms without pretraining on angiograms."""
ABLATIONS: Mapping[Arm, Changes] = MappingProxyType(
    {
        Arm.CLIP_ONLY: {"stenosis_weight": 0.0},
        Arm.PERMUTED_PAIRS: {"permute_pairs": True},
        Arm.STENOSIS_ONLY: {"objective": Objective.STENOSIS},
        Arm.DISTILLATION: {"objective": Objective.DISTILLATION},
    }
)
"""Differences of each ablation's pretraining from StenCE's."""


class EncoderChoice(BaseModel):
    """An encoder of the study, and its own hyperparameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str = Field(description="Name in the registry of stence.encoders.")
    config: dict[str, Any] = Field({}, description="Arguments of the encoder.")
    recipe: Kind = Field("stence", description="Input: StenCE's, or that of the published weights.")
    weights: str | None = Field(None, description="Name of the published weights.")
    pretraining: Changes = Field({}, description="Differences from the study's section.")
    finetuning: Changes = Field({}, description="Differences from the study's section.")

    @field_validator("weights")
    @classmethod
    def _importable(cls, name: str | None) -> str | None:
        known = [known for known, importable in IMPORTABLES.items() if importable.kind == ECG_ENCODER]
        if name is not None and name not in known:
            raise ValueError(f"there are no weights {name!r} for an ECG encoder; known: {', '.join(known)}")
        return name

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        """Build the encoder without memory for its weights."""
        try:
            with torch.device("meta"):
                encoder_for(self.input, self.encoder, self.config)
        except TypeError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def input(self) -> Recipe:
        """Input recipe of the encoder."""
        return recipe(self.encoder, self.recipe)


class StudyConfig(BaseModel):
    """Configuration of a study: encoders, endpoints, fractions of labels, seeds, hyperparameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name = Field(description="Name of the study's folders, here and in the store.")
    cpu_threads: int | None = Field(None, ge=1, description="CPU threads of torch; none: its default.")
    days_before_study: float = Field(30, gt=0, description="Maximum age of an ECG at its cath study.")
    backbone: Literal["dinov2-vits14", "ridges"] = Field(description="Network that computes patch features.")
    augmented_copies: int = Field(4, ge=1, description="Augmented copies of a frame's features.")

    encoders: dict[Name, EncoderChoice] = Field(min_length=1, description="Encoders by name in the table.")
    endpoints: tuple[float | tuple[float, float], ...] = Field(
        min_length=1, description="Minimum stenosis in percent; or a grey zone: [no up to, yes from]."
    )
    label_fractions: dict[Annotated[float, Field(gt=0, le=1)], Changes] = Field(
        min_length=1, description="Shares of training patients with labels; differences of fine-tuning there."
    )
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    ablations: tuple[Arm, ...] = Field((), description="Other pretrainings that StenCE is compared with.")

    teacher: TeacherConfig = TeacherConfig()
    pretraining: PretrainingConfig = PretrainingConfig()
    finetuning: dict[str, Any] = Field(description="A TrainingConfig without the grid's keys.")
    resamples: int = Field(2000, ge=100, description="Bootstrap resamples of patients per interval.")

    @property
    def arms(self) -> tuple[Arm, ...]:
        """All arms, in the order of the table."""
        return (*BASELINES, Arm.STENCE, *self.ablations)

    @property
    def tasks(self) -> tuple[BinaryTask, ...]:
        """The tasks, one per endpoint."""
        return tuple(
            BinaryTask(*endpoint) if isinstance(endpoint, tuple) else BinaryTask(endpoint, endpoint)
            for endpoint in self.endpoints
        )

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """The distinct input recipes of the encoders."""
        return tuple({choice.input.version: choice.input for choice in self.encoders.values()}.values())

    def teacher_of(self, seed: int) -> TeacherConfig:
        """Return the teacher's configuration for a seed; all encoders share this teacher."""
        return self.teacher.model_copy(update={"seed": seed})

    def pretraining_of(self, encoder: str, seed: int, arm: Arm = Arm.STENCE) -> PretrainingConfig:
        """Return an encoder's pretraining configuration in an arm; all endpoints and fractions share it."""
        changes = self.encoders[encoder].pretraining | ABLATIONS.get(arm, {})
        return PretrainingConfig(**self.pretraining.model_dump() | changes | {"seed": seed})

    def finetuning_of(self, encoder: str, fraction: float, seed: int) -> TrainingConfig:
        """Return a fine-tuning configuration; all arms and endpoints share it.

        The fraction's differences override the encoder's differences.
        """
        choice = self.encoders[encoder]
        of_grid = {
            "encoder": choice.encoder,
            "encoder_config": choice.config,
            "recipe": choice.recipe,
            "label_fraction": fraction,
            "seed": seed,
        }
        return TrainingConfig(
            **self.finetuning | choice.finetuning | self.label_fractions[fraction] | of_grid
        )

    @model_validator(mode="after")
    def _leaves_the_grid_to_the_study(self) -> Self:
        wrong = [
            f"{place}.{key}"
            for place, section, given in self._sections()
            for key in given
            if key in OF_THE_GRID[section]
        ]
        if wrong:
            raise ValueError(f"the study sets these keys, leave them out: {', '.join(wrong)}")
        return self

    @model_validator(mode="after")
    def _every_training_is_possible(self) -> Self:
        tried: dict[str, Callable[[], object]] = {"endpoints": lambda: self.tasks}
        for name in self.encoders:
            tried[f"pretraining of {name}"] = partial(self.pretraining_of, name, 0)
            for fraction in self.label_fractions:
                place = f"finetuning of {name} with {fraction:g} of the labels"
                tried[place] = partial(self.finetuning_of, name, fraction, 0)
        found: dict[str, str] = {}
        for place, build in tried.items():
            for problem in _problems(build):
                found.setdefault(problem, place)  # name only the first place with this problem
        if found:
            raise ValueError("; ".join(f"{place}: {problem}" for problem, place in found.items()))
        return self

    def _sections(self) -> Iterator[tuple[str, str, Iterable[str]]]:
        """Yield each section with settings of a stage: its path, the stage, and the given keys."""
        yield "teacher", "teacher", self.teacher.model_fields_set
        yield "pretraining", "pretraining", self.pretraining.model_fields_set
        yield "finetuning", "finetuning", self.finetuning
        for name, choice in self.encoders.items():
            yield f"encoders.{name}.pretraining", "pretraining", choice.pretraining
            yield f"encoders.{name}.finetuning", "finetuning", choice.finetuning
        for fraction, changes in self.label_fractions.items():
            yield f"label_fractions.{fraction:g}", "finetuning", changes

    @field_validator("ablations")
    @classmethod
    def _ablations(cls, given: tuple[Arm, ...]) -> tuple[Arm, ...]:
        if wrong := [arm for arm in given if arm not in ABLATIONS]:
            raise ValueError(f"{', '.join(wrong)}: no ablation; known: {', '.join(ABLATIONS)}")
        return given

    @field_validator("endpoints", "seeds", "ablations")
    @classmethod
    def _once(cls, given: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(given)) < len(given):
            raise ValueError("each may stand here once only")
        return given


def _problems(build: Callable[[], object]) -> list[str]:
    try:
        build()
    except ValidationError as error:
        return [in_words(found) for found in error.errors()]
    except ValueError as error:
        return [str(error)]
    return []


def load_study(name_or_path: str) -> StudyConfig:
    """Read the study of a preset, given its name, or of a YAML file, given its path.

    Raises ConfigurationError, which names every key that is unknown, missing or invalid.
    """
    return read_config(name_or_path, PRESETS, StudyConfig, "study")
