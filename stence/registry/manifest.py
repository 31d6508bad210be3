"""``manifest.json``: everything about a model version except its weights."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from stence.domain.targets import DECISIVE
from stence.domain.thresholds import Threshold
from stence.ecg.recipes import STENCE, Recipe
from stence.models.calibration import Calibration
from stence.models.risk import RiskModel


class Part(BaseModel):
    """Immutable base model that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Architecture(Part):
    """Encoder and arguments from which the network is rebuilt."""

    encoder: str = Field(description="Name in the registry of stence.encoders.")
    config: dict[str, Any] = Field(description="Arguments of the encoder.")
    clinical: Literal["none", "age and sex"] = Field(
        "none", description="Clinical values fused with the ECG; a manifest without this field has none."
    )
    shared_space: int = Field(0, description="Dimensions shared with angiograms; 0: trained without them.")

    @classmethod
    def of(cls, encoder: str, model: RiskModel) -> Self:
        """Build the entry for a model with an encoder of this name."""
        clinical = "none" if model.clinical is None else "age and sex"
        shared = 0 if model.shared_space is None else model.shared_space.dimensions
        return cls(encoder=encoder, config=model.encoder.config, clinical=clinical, shared_space=shared)


class Preprocessing(Part):
    """Input recipe of the network; a manifest without a recipe is older than all recipes but StenCE's."""

    recipe: str = Field(STENCE.name, description="Origin of the recipe: StenCE, or an encoder's authors.")
    version: str = Field(description="Version of the recipe, one of stence.ecg.recipes.VERSIONS.")
    sampling_rate: int = Field(STENCE.sampling_rate, description="Hz of a window.")
    seconds: int = Field(STENCE.seconds, description="Length of a window.")
    windows: int = Field(ge=1, description="Windows averaged over an ECG.")

    @classmethod
    def of(cls, recipe: Recipe, windows: int) -> Self:
        """Build the entry for ``windows`` windows of a recipe."""
        return cls(
            recipe=recipe.name,
            version=recipe.version,
            sampling_rate=recipe.sampling_rate,
            seconds=recipe.seconds,
            windows=windows,
        )


class TrainingData(Part):
    """Training data, as counts and a fingerprint only."""

    fingerprint: str = Field(description="SHA-256 over the sorted (content hash, labels, split) of all ECGs.")
    ecgs: dict[str, int] = Field(description="ECGs by split.")
    patients: dict[str, int] = Field(description="Patients by split.")
    left_out: dict[str, int] = Field(
        description="Report rows, studies and ECGs that were not used, by reason."
    )


class Code(Part):
    """Versions of stence and of its libraries at training."""

    stence: str
    git_commit: str | None
    libraries: dict[str, str]


class Manifest(Part):
    """The content of ``manifest.json``."""

    format: Literal[1] = 1
    model_version: str
    created_at: datetime
    architecture: Architecture
    preprocessing: Preprocessing
    targets: tuple[str, ...]
    calibration: Calibration
    calibration_draws: tuple[Calibration, ...] = Field(
        (), description="Draws of the calibration that span its uncertainty; none: not estimated."
    )
    thresholds: dict[str, Threshold]
    decisive: str = Field(DECISIVE, description="Target whose threshold raises flags; the others inform.")
    training_data: TrainingData
    training_config: dict[str, Any]
    training_run: dict[str, Any] = Field(description="Seed, epochs, best epoch, seconds.")
    metrics: dict[str, Any] = Field(description="On the test patients, with 95 % intervals.")
    forms: dict[str, str] = Field(
        {}, description="Numeric form chosen at publishing, by kind of device; none: fp32."
    )
    gate: dict[str, Any] | None = Field(None, description="The gate's verdict, if there is one.")
    card: dict[str, str] = Field({}, description="Key and SHA-256 of each file of the model card.")
    code: Code
    files: dict[str, str] = Field(description="SHA-256 of each other file of the artefact.")

    @property
    def raising(self) -> dict[str, Threshold]:
        """The threshold that raises flags, by its target."""
        return {self.decisive: self.thresholds[self.decisive]}
