"""Configuration of a fine-tuning for other labels: one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stence.domain.thresholds import Rule, Sensitivity
from stence.fitting.finetuning import TrainingConfig
from stence.presets import read_config

PRESETS = Path(__file__).parent / "presets"
RESERVED = ("record", "patient_id")
"""Columns of a table that are not labels."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=80)]


class _Columns(BaseModel):
    """Columns of a table that are labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: tuple[Name, ...] = Field(min_length=1, description="The table's label columns.")

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        if wrong := sorted(set(self.labels) & set(RESERVED)):
            raise ValueError(f"{', '.join(wrong)} cannot be a label")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("a label is named twice")
        return self


class TableSource(_Columns):
    """Labels in a table: CSV or Parquet, one row per ECG, see ``stence.labels.table``."""

    key: str = Field(min_length=1, description="The table's key in the store.")


class EchoNextSource(_Columns):
    """Labels and ECGs in the files of EchoNext, see ``stence.labels.echonext``."""

    prefix: str = Field(min_length=1, description="Prefix of its files in the store, up to their names.")
    metadata: str = Field("echonext_metadata_100k.csv", min_length=1, description="Name of its table.")


class HeaderSource(BaseModel):
    """Labels from diagnoses in the headers of WFDB records, see ``stence.labels.diagnoses``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: str = Field(min_length=1, description="Prefix of the records in the store.")
    labels: dict[Name, tuple[str, ...]] = Field(
        min_length=1, description="Diagnoses that make each label positive: SNOMED CT codes or words."
    )

    @model_validator(mode="after")
    def _check_terms(self) -> Self:
        if empty := [name for name, terms in self.labels.items() if not all(terms) or not terms]:
            raise ValueError(f"{', '.join(empty)}: name at least one diagnosis, without empty ones")
        return self


class LabelsConfig(BaseModel):
    """Hyperparameters of a fine-tuning for other labels; stored in its report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name = Field(description="Name of the results' folder in the store.")
    table: TableSource | None = None
    headers: HeaderSource | None = None
    echonext: EchoNextSource | None = None
    cpu_threads: int | None = Field(None, ge=1, description="CPU threads of torch; none: its default.")
    finetuning: TrainingConfig
    threshold: Rule = Field(Sensitivity(0.8), description="Rule that sets each label's threshold.")
    bootstrap_resamples: int = Field(1000, ge=100, description="Resamples of patients per interval.")

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if sum(source is not None for source in (self.table, self.headers, self.echonext)) != 1:
            raise ValueError("labels come from a table, from headers or from echonext: name one of the three")
        return self

    @property
    def source(self) -> TableSource | HeaderSource | EchoNextSource:
        """The source of the labels."""
        return self.table or self.headers or cast(EchoNextSource, self.echonext)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels' names."""
        return tuple(self.source.labels)


def load_config(name_or_path: str) -> LabelsConfig:
    """Read the configuration of a preset, given its name, or of a YAML file, given its path.

    Raises ConfigurationError, which names every key that is unknown, missing or invalid.
    """
    return read_config(name_or_path, PRESETS, LabelsConfig, "labels")
