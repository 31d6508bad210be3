"""The configuration of a fine-tuning for other labels: one readable YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stence.domain.thresholds import Rule, Sensitivity
from stence.fitting.finetuning import TrainingConfig
from stence.presets import read_config

PRESETS = Path(__file__).parent / "presets"
RESERVED = ("record", "patient_id")
"""Columns of a table that are no labels."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=80)]


class TableSource(BaseModel):
    """Labels in a table: CSV or Parquet, a row an ECG, see ``stence.labels.table``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(min_length=1, description="The table's key in the store.")
    labels: tuple[Name, ...] = Field(min_length=1, description="Its columns that are labels.")

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        if wrong := sorted(set(self.labels) & set(RESERVED)):
            raise ValueError(f"{', '.join(wrong)} cannot be a label")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("a label is named twice")
        return self


class HeaderSource(BaseModel):
    """Labels in the headers of WFDB records: diagnoses that stand there, see ``stence.labels.diagnoses``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: str = Field(min_length=1, description="Where the records lie in the store.")
    labels: dict[Name, tuple[str, ...]] = Field(
        min_length=1, description="The diagnoses that make each label a yes: SNOMED CT codes or words."
    )

    @model_validator(mode="after")
    def _check_terms(self) -> Self:
        if empty := [name for name, terms in self.labels.items() if not all(terms) or not terms]:
            raise ValueError(f"{', '.join(empty)}: name at least one diagnosis, and no empty one")
        return self


class LabelsConfig(BaseModel):
    """All that decides what a fine-tuning for other labels makes of given data; kept in its report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name = Field(description="Of the folder in the store that the results go to.")
    table: TableSource | None = None
    headers: HeaderSource | None = None
    cpu_threads: int | None = Field(None, ge=1, description="Threads of torch on a CPU; none: its choice.")
    finetuning: TrainingConfig
    threshold: Rule = Field(Sensitivity(0.8), description="How each label's threshold is chosen.")
    bootstrap_resamples: int = Field(1000, ge=100, description="Resamples of patients behind an interval.")

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if (self.table is None) == (self.headers is None):
            raise ValueError("labels come from a table or from headers: name one of the two")
        return self

    @property
    def source(self) -> TableSource | HeaderSource:
        """Where the labels come from."""
        return self.table or cast(HeaderSource, self.headers)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels' names."""
        return tuple(self.source.labels)


def load_config(name_or_path: str) -> LabelsConfig:
    """The configuration of a preset's name, or in a YAML file.

    Raises ConfigurationError, which names every key that is unknown, missing or has an impossible value.
    """
    return read_config(name_or_path, PRESETS, LabelsConfig, "labels")
