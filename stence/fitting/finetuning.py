"""Fine-tuning of a risk model on labelled ECGs, with separate learning rates for encoder and head."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from stence.cohort import Part
from stence.domain.random_projection import project
from stence.ecg.augmentation import Augmentation, NamedAugmentation
from stence.ecg.recipes import Kind, Recipe, recipe
from stence.encoders import Encoder, encoder_for
from stence.encoders.base import Weights
from stence.errors import StenceError
from stence.fitting.crops import even_crops, random_crops
from stence.fitting.distributed import gathered
from stence.fitting.fractions import label_share
from stence.fitting.loop import TrainingHistory, run
from stence.fitting.schedule import Schedule
from stence.fitting.studies import shuffled_batches
from stence.fitting.tasks import TREE, Task
from stence.inference import infer
from stence.models import RiskModel
from stence.models.risk import InferenceForm
from stence.progress import Progress

ECGS_READ_TOGETHER = 512


class TrainingConfig(BaseModel):
    """Hyperparameters of fine-tuning: all settings that change its result on given data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str = Field("otis", description="Name in the registry of stence.encoders.")
    encoder_config: dict[str, Any] = Field({}, description="Arguments of the encoder.")
    recipe: Kind = Field("stence", description="Input recipe: StenCE's, or that of the published weights.")
    weights: str | None = Field(None, description="Imported initial weights; none: random weights.")
    frozen: bool = Field(False, description="Linear probe: the encoder is frozen, only the head learns.")
    frozen_epochs: int = Field(0, ge=0, description="First epochs in which only the head learns.")
    last_blocks: int | None = Field(
        None, ge=1, description="Blocks at the encoder's end that learn; none: the whole encoder."
    )
    label_fraction: float = Field(1.0, gt=0, le=1, description="Share of training patients to use.")
    seed: int = Field(0, ge=0)
    epochs: int = Field(ge=1)
    warmup_epochs: float = Field(5, ge=0, description="Epochs of linear warm-up of the learning rates.")
    patience: int = Field(ge=1, description="Epochs without a better validation AUROC before early stopping.")
    batch_size: int = Field(80, ge=2, description="Number of ECGs in a batch.")
    accumulation: int = Field(1, ge=1, description="Batches per optimizer step (gradient accumulation).")
    encoder_rate: float = Field(gt=0, description="Learning rate of the encoder.")
    scratch_rate: float | None = Field(
        None, gt=0, description="Learning rate of an encoder with random weights; none: encoder_rate."
    )
    head_rate: float = Field(gt=0, description="Learning rate of the head.")
    weight_decay: float = Field(0.05, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    gradient_clip: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    augmentation: NamedAugmentation = Field(
        Augmentation(), description="stence: that of pretraining; reference: that of StenCE's fine-tuning."
    )
    referral_weights: bool = Field(
        False, description="Weight patients by the inverse propensity of referral."
    )

    @model_validator(mode="after")
    def _encoder_reads_what_the_recipe_makes(self) -> Self:
        """Check the encoder's arguments, without memory for its weights."""
        try:
            with torch.device("meta"):
                encoder = self.new_encoder()
        except TypeError as error:
            raise ValueError(str(error)) from None
        if self.last_blocks is not None:
            encoder.last(self.last_blocks)
        return self

    @model_validator(mode="after")
    def _something_learns_in_time(self) -> Self:
        if self.frozen and (self.frozen_epochs or self.last_blocks):
            raise ValueError("frozen freezes the encoder always: leave out frozen_epochs and last_blocks")
        if self.frozen_epochs >= self.epochs:
            raise ValueError("frozen_epochs must be fewer than epochs; frozen freezes the encoder always")
        return self

    @property
    def input(self) -> Recipe:
        """Recipe of the encoder's input."""
        return recipe(self.encoder, self.recipe)

    def new_encoder(self) -> Encoder:
        """Build an encoder with random weights."""
        return encoder_for(self.input, self.encoder, self.encoder_config)

    @property
    def schedule(self) -> Schedule:
        """Schedule of the training loop."""
        return Schedule(
            epochs=self.epochs,
            warmup_epochs=self.warmup_epochs,
            weight_decay=self.weight_decay,
            gradient_clip=self.gradient_clip,
            seed=self.seed,
            accumulation=self.accumulation,
            patience=self.patience,
        )


def fit(
    config: TrainingConfig,
    train: Part,
    validation: Part,
    device: str,
    saved: Path,
    progress: Progress,
    start: Encoder | None = None,
    task: Task = TREE,
) -> tuple[RiskModel, TrainingHistory]:
    """Train, and return the model of the best epoch. Resume from the checkpoint ``saved`` if it exists.

    Training starts with a copy of the encoder ``start``, pretrained or published, else with a random encoder.
    ``label_fraction`` applies to training patients only. The best epoch is always chosen on all validation
    patients, so metrics of two fractions differ only by the training data. Raises StenceError if too few ECGs
    have an answer.
    """
    stage = _Finetuning(config, train, validation, device, task, start)
    history = run(stage, config.schedule, device, saved, progress)
    return stage.model, history


def first_encoder(config: TrainingConfig, published: Weights | None = None) -> Encoder:
    """Build an encoder with published weights, or with random weights from the seed.

    Raises WeightsError for published weights of another encoder.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        encoder = config.new_encoder()
    if published is not None:
        encoder.load_published(published)
    return encoder


def first_model(config: TrainingConfig, encoder: Encoder, outputs: int) -> RiskModel:
    """Build a risk model from a copy of an encoder and a new head with random weights from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = RiskModel(deepcopy(encoder), outputs)
    if config.frozen or config.last_blocks:
        model.freeze_encoder(config.last_blocks or 0)
    return model


class Outputs(NamedTuple):
    """Logits (n, outputs) of ECGs, and random projections (n, 32) of their embeddings."""

    logits: NDArray[np.float64]
    projections: NDArray[np.float32]


def ecg_outputs(model: RiskModel, part: Part, device: str, windows: int | None = None) -> Outputs:
    """Return the outputs for a part, computed as in the scorer; ``windows`` of each ECG of a raw part.

    Age and sex of the part are fused with the logits if the model has a clinical head.
    """
    network = InferenceForm(model).to(device)
    embeddings, logits = [np.empty((0, network.size), np.float32)], [np.empty((0, network.outputs))]
    for start in range(0, len(part), ECGS_READ_TOGETHER):
        ecgs = np.arange(start, min(start + ECGS_READ_TOGETHER, len(part)))
        ready = even_crops(part, ecgs, windows) if windows else part.signals[part.rows[ecgs]]
        found = infer(network, ready, device)
        embeddings.append(found.embeddings)
        logits.append(found.logits)
    fused = network.fuse(np.concatenate(logits), part.clinical)
    return Outputs(fused, project(np.concatenate(embeddings)))


def ecg_logits(model: RiskModel, part: Part, device: str) -> NDArray[np.float64]:
    """Return the logits (n, outputs) of ``ecg_outputs`` for a preprocessed part."""
    return ecg_outputs(model, part, device).logits


def learned_answers(
    config: TrainingConfig, train: Part, task: Task
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the answers (n, outputs) of training ECGs, NaN outside ``label_fraction``, and their weights."""
    answers = task.answers(train)
    answers[~label_share(train.patients, config.label_fraction, config.seed)] = np.nan
    weights = task.weights(answers, train.patients)
    if train.sample_weight is not None:
        weights = (weights.T * train.sample_weight).T
    return answers, weights


class _Batch(NamedTuple):
    windows: Tensor
    """Preprocessed windows (b, 12, samples), not augmented."""
    ecgs: Tensor
    """Numbers (b,) of their ECGs in the training part."""


class _Finetuning:
    """Fine-tuning as a stage of ``stence.fitting.loop``."""

    name = "finetuning"

    def __init__(
        self,
        config: TrainingConfig,
        train: Part,
        validation: Part,
        device: str,
        task: Task,
        start: Encoder | None,
    ) -> None:
        self._config, self._train, self._validation = config, train, validation
        self._device, self._task = device, task
        answers, weights = learned_answers(config, train, task)
        self._asked = np.flatnonzero(~np.isnan(answers).all(axis=1))
        _check_size(self._asked, config)
        self._answers = torch.from_numpy(answers).to(device)
        self._weights = torch.from_numpy(weights.astype(np.float32)).to(device)
        self._encoder_rate = config.encoder_rate if start else (config.scratch_rate or config.encoder_rate)
        self.model = first_model(config, start or first_encoder(config), len(task.outputs)).to(device)
        self.module: nn.Module = self.model

    def parameter_groups(self) -> list[dict[str, Any]]:
        head = {"params": self.model.head_parameters(), "rate": self._config.head_rate}
        if self._config.frozen:
            return [head]
        weights = [weight for weight in self.model.encoder.parameters() if weight.requires_grad]
        start = self._config.frozen_epochs
        return [{"params": weights, "rate": self._encoder_rate, "frozen_epochs": start}, head]

    def batches(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        return shuffled_batches(self._asked, self._config.batch_size, rng)

    def draw(self, rows: NDArray[np.int64], rng: np.random.Generator) -> _Batch:
        """Draw a random window of each ECG."""
        return _Batch(torch.from_numpy(random_crops(self._train, rows, rng)), torch.from_numpy(rows))

    def loss(self, batch: _Batch, generator: torch.Generator) -> Tensor:
        windows, ecgs = batch.windows.to(self._device), batch.ecgs.to(self._device)
        rate = self._train.recipe.sampling_rate
        logits = self.model(self._config.augmentation.apply(windows, generator, rate)).float()
        return self._task.loss(
            gathered(logits),
            gathered(self._answers[ecgs]),
            gathered(self._weights[ecgs]),
            self._config.label_smoothing,
        )

    def judge(self) -> float:
        return self._task.figure(ecg_logits(self.model, self._validation, self._device), self._validation)


def _check_size(asked: NDArray[np.intp], config: TrainingConfig) -> None:
    if len(asked) < 2:
        raise StenceError(
            f"{len(asked)} training ECGs have an answer to learn from, in {config.label_fraction:g} of the "
            "patients: use a larger label_fraction, or wait for more cath reports."
        )
