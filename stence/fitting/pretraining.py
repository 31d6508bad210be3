"""StenCE's pretraining: contrastive learning of ECG-angiogram pairs, and stenosis labels of angiograms.

Its ablations are configurations: ``stenosis_weight: 0`` (CLIP alone), ``permute_pairs`` (a negative control),
and the objectives without a contrastive term.
"""

from __future__ import annotations

from copy import deepcopy
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit
from torch import Tensor, nn

from stence.cohort import Cohort, Part, Split
from stence.cohort.angiograms import Angiograms
from stence.ecg.augmentation import Augmentation
from stence.encoders import Encoder
from stence.errors import StenceError
from stence.fitting.crops import random_crops
from stence.fitting.distributed import gathered
from stence.fitting.loop import TrainingHistory, run
from stence.fitting.losses import TEMPERATURE, pair_loss, stenosis_loss
from stence.fitting.probe import PROBED, neighbours_auroc
from stence.fitting.schedule import Schedule
from stence.fitting.studies import (
    Pairs,
    PermutedPairs,
    Views,
    angiogram_of,
    shuffled_batches,
    targets_of,
)
from stence.fitting.teacher import study_logits
from stence.models import EcgStudent, SegmentMIL, StencePair
from stence.models.angiographic import THRESHOLD
from stence.models.stence import SHARED
from stence.progress import Progress

MIN_PAIRS = 2


class Objective(StrEnum):
    """Loss of pretraining."""

    PAIRS = "pairs"
    """StenCE: the contrastive loss of pairs, and the stenosis loss of the angiogram's logits."""
    STENOSIS = "stenosis"
    """The stenosis loss of the ECG's own logits against the report. No angiogram is read."""
    DISTILLATION = "distillation"
    """The same loss against the teacher's probabilities for the study (soft labels, Hinton et al. 2015)."""


class PretrainingConfig(BaseModel):
    """Hyperparameters of pretraining. The defaults are those of the paper."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    objective: Objective = Field(Objective.PAIRS, description="Loss: StenCE's, or that of an ablation.")
    permute_pairs: bool = Field(
        False, description="Give each study the ECGs of another training patient: a negative control."
    )
    shared: int = Field(SHARED, ge=1, le=SHARED, description="Dimensions of the shared space.")
    temperature: float = Field(TEMPERATURE, gt=0)
    stenosis_weight: float = Field(0.3, ge=0, description="Weight of the stenosis loss; the pair loss has 1.")
    threshold: float = Field(THRESHOLD, gt=0, le=100, description="Smallest degree of a stenosis, percent.")
    drop_views: float = Field(0.3, ge=0, lt=1, description="Largest share of a study's views to drop.")
    augmentation: Augmentation = Augmentation()
    seed: int = Field(0, ge=0)
    epochs: int = Field(500, ge=1)
    warmup_epochs: float = Field(5, ge=0, description="Epochs of linear warm-up of the learning rates.")
    batch_size: int = Field(128, ge=2, description="Number of pairs in a batch, compared with each other.")
    ecg_rate: float = Field(1e-5, gt=0, description="Learning rate on the ECG's side.")
    angiogram_rate: float = Field(1e-4, gt=0, description="Learning rate on the angiogram's side.")
    final_rate: float = Field(1e-6, ge=0, description="Both learning rates at the end.")
    weight_decay: float = Field(1e-5, ge=0)
    gradient_clip: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    probe_every: int = Field(10, ge=1, description="Epochs between two probes, which select the best epoch.")
    neighbours: int = Field(5, ge=1, description="Number of neighbours in the probe.")

    @property
    def schedule(self) -> Schedule:
        """Schedule of the training loop."""
        return Schedule(
            epochs=self.epochs,
            warmup_epochs=self.warmup_epochs,
            weight_decay=self.weight_decay,
            gradient_clip=self.gradient_clip,
            seed=self.seed,
            final_rate=self.final_rate,
            judge_every=self.probe_every,
        )


def pretrain(  # noqa: PLR0913
    cohort: Cohort,
    angiograms: Angiograms,
    config: PretrainingConfig,
    encoder: Encoder,
    teacher: SegmentMIL,
    device: str,
    saved: Path,
    progress: Progress,
    *,
    reports: NDArray[np.bool_] | None = None,
) -> tuple[StencePair, TrainingHistory]:
    """Train a pair on the training split. Resume from the checkpoint ``saved`` if it exists.

    Training starts from copies of ``encoder`` and ``teacher``. ``reports`` (studies,) marks the cath reports
    that may be used (None: all); pairs need no report. The best epoch has the highest nearest-neighbour AUROC
    of stenosis on the validation split. The objectives without a contrastive term train the ECG's side only;
    the angiogram's side remains the teacher. Raises StenceError if there are too few pairs.
    """
    pair = first_pair(encoder, teacher, config).to(device)
    stage = _STAGES[config.objective](_Given(cohort, angiograms, config, pair, device, reports))
    history = run(stage, config.schedule, device, saved, progress)
    return pair, history


def first_pair(encoder: Encoder, teacher: SegmentMIL, config: PretrainingConfig) -> StencePair:
    """Build an untrained pair from copies of both. Projectors get random weights from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return StencePair(deepcopy(encoder), deepcopy(teacher), config.shared)


class _Given(NamedTuple):
    cohort: Cohort
    angiograms: Angiograms
    config: PretrainingConfig
    pair: StencePair
    device: str
    reports: NDArray[np.bool_] | None


class _Stage:
    """Common part of all objectives as a stage of ``stence.fitting.loop``: ECGs, targets, and the probe."""

    name = "pretraining"

    def __init__(self, given: _Given) -> None:
        parts = given.cohort.parts
        self._train, self._validation = parts[Split.TRAIN], parts[Split.VALIDATION]
        self._angiograms, self._config, self._device = given.angiograms, given.config, given.device
        self._targets = targets_of(given.angiograms, given.config.threshold, given.reports)
        self._known = _known(self._train, given.angiograms, given.reports)
        self._pairs = _pairs(self._train, given.angiograms, given.config)
        self._studies = self._pairs.studies
        self._pair = given.pair
        self.module: nn.Module = given.pair

    def batches(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """Return batches with every study once, so no batch has two ECGs of a study."""
        return shuffled_batches(self._studies, self._config.batch_size, rng)

    def judge(self) -> float:
        return neighbours_auroc(
            self._pair.encoder,
            self._train,
            self._known,
            self._validation,
            self._config.neighbours,
            self._device,
        )

    def _augmented(self, windows: Tensor, generator: torch.Generator) -> Tensor:
        rate = self._train.recipe.sampling_rate
        return self._config.augmentation.apply(windows.to(self._device), generator, rate)


class _PairBatch(NamedTuple):
    windows: Tensor
    """Preprocessed windows (b, 12, samples), not augmented."""
    views: Views
    targets: Tensor
    patients: Tensor


class _Contrastive(_Stage):
    """``Objective.PAIRS``."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [
            {"params": self._pair.ecg_parameters(), "rate": self._config.ecg_rate},
            {"params": self._pair.angiogram_parameters(), "rate": self._config.angiogram_rate},
        ]

    def draw(self, rows: NDArray[np.int64], rng: np.random.Generator) -> _PairBatch:
        """Draw a random crop of a random ECG of each study, and random versions of some of its views."""
        ecgs = self._pairs.ecgs(rows, rng)
        return _PairBatch(
            torch.from_numpy(random_crops(self._train, ecgs, rng)),
            Views.of(self._angiograms.batch(rows, rng, self._config.drop_views)),
            torch.from_numpy(self._targets[rows]),
            torch.from_numpy(self._train.patients[ecgs]),
        )

    def loss(self, batch: _PairBatch, generator: torch.Generator) -> Tensor:
        config, device = self._config, self._device
        of_ecgs = self._pair.ecg(self._augmented(batch.windows, generator)).float()
        of_angiograms, logits = self._pair.angiogram(*batch.views.to(device))
        rows = gathered(torch.cat((of_ecgs, of_angiograms.float(), logits), dim=1))
        of_ecgs, of_angiograms, logits = rows.tensor_split((config.shared, 2 * config.shared), dim=1)
        targets, patients = gathered(batch.targets.to(device)), gathered(batch.patients.to(device))
        pairs = pair_loss(of_ecgs, of_angiograms, patients, config.temperature)
        return pairs + config.stenosis_weight * stenosis_loss(logits, targets)


class _DirectBatch(NamedTuple):
    windows: Tensor
    targets: Tensor


class _Direct(_Stage):
    """``Objective.STENOSIS``: the ECG's side alone learns the study's targets, through a linear head."""

    def __init__(self, given: _Given) -> None:
        super().__init__(given)
        self._targets = self._taught()
        self._studies = self._studies[~np.isnan(self._targets[self._studies]).any(axis=1)]
        if len(self._studies) < MIN_PAIRS:
            raise StenceError(
                f"{len(self._studies)} training studies with ECGs have known stenosis targets: wait for more."
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._config.seed)
            self._student = EcgStudent(self._pair).to(self._device)
        self.module = self._student

    def _taught(self) -> NDArray[np.float32]:
        """Return the targets of all studies (studies, 11); NaN if unknown."""
        return self._targets

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self._student.parameters()), "rate": self._config.ecg_rate}]

    def draw(self, rows: NDArray[np.int64], rng: np.random.Generator) -> _DirectBatch:
        """Draw a random crop of a random ECG of each study."""
        windows = random_crops(self._train, self._pairs.ecgs(rows, rng), rng)
        return _DirectBatch(torch.from_numpy(windows), torch.from_numpy(self._targets[rows]))

    def loss(self, batch: _DirectBatch, generator: torch.Generator) -> Tensor:
        logits = self._student(self._augmented(batch.windows, generator))
        return stenosis_loss(gathered(logits), gathered(batch.targets.to(self._device)))


class _Distillation(_Direct):
    """``Objective.DISTILLATION``: the targets are the teacher's probabilities from all views of the study."""

    def _taught(self) -> NDArray[np.float32]:
        teacher, studies = self._pair.segment_mil.eval(), self._pairs.studies
        targets = np.full_like(self._targets, np.nan)
        targets[studies] = expit(study_logits(teacher, self._angiograms, studies, self._device))
        return targets


_STAGES: dict[Objective, type[_Contrastive | _Direct]] = {
    Objective.PAIRS: _Contrastive,
    Objective.STENOSIS: _Direct,
    Objective.DISTILLATION: _Distillation,
}


def _pairs(train: Part, angiograms: Angiograms, config: PretrainingConfig) -> Pairs:
    """Return the training pairs, permuted where the configuration says so. Raise StenceError if too few."""
    pairs = Pairs(train, angiograms)
    if len(pairs.studies) < MIN_PAIRS:
        raise StenceError(
            f"{len(pairs.studies)} cath studies of the training patients have both an ECG before "
            "them and usable angiograms: pretraining compares pairs, wait for more."
        )
    return PermutedPairs(train, angiograms, config.seed) if config.permute_pairs else pairs


def _known(train: Part, angiograms: Angiograms, reports: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """Return the training ECGs with a known stenosis label that the probe may use."""
    known = ~np.isnan(train.labels[:, PROBED])
    if reports is not None:
        places = angiogram_of(train, angiograms)
        known &= (places >= 0) & reports[places]
    return np.flatnonzero(known)
