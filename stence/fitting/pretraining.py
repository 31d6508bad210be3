"""StenCE's pretraining: contrastive learning of ECG-angiogram pairs, and stenosis labels of angiograms."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
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
from stence.fitting.studies import Pairs, Views, angiogram_of, shuffled_batches, targets_of
from stence.models import SegmentMIL, StencePair
from stence.models.angiographic import THRESHOLD
from stence.models.stence import SHARED
from stence.progress import Progress

MIN_PAIRS = 2


class PretrainingConfig(BaseModel):
    """Hyperparameters of pretraining. The defaults are those of the paper."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shared: int = Field(SHARED, ge=1, description="Dimensions of the shared space.")
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
    of stenosis on the validation split. Raises StenceError if there are too few pairs.
    """
    pair = first_pair(encoder, teacher, config).to(device)
    stage = _Pretraining(cohort, angiograms, config, pair, device, reports)
    history = run(stage, config.schedule, device, saved, progress)
    return pair, history


def first_pair(encoder: Encoder, teacher: SegmentMIL, config: PretrainingConfig) -> StencePair:
    """Build an untrained pair from copies of both. Projectors get random weights from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return StencePair(deepcopy(encoder), deepcopy(teacher), config.shared)


class _Batch(NamedTuple):
    windows: Tensor
    """Preprocessed windows (b, 12, samples), not augmented."""
    views: Views
    targets: Tensor
    patients: Tensor


class _Pretraining:
    """Pretraining as a stage of ``stence.fitting.loop``."""

    name = "pretraining"

    def __init__(
        self,
        cohort: Cohort,
        angiograms: Angiograms,
        config: PretrainingConfig,
        pair: StencePair,
        device: str,
        reports: NDArray[np.bool_] | None,
    ) -> None:
        self._train, self._validation = cohort.parts[Split.TRAIN], cohort.parts[Split.VALIDATION]
        self._angiograms, self._config, self._device = angiograms, config, device
        self._targets = targets_of(angiograms, config.threshold, reports)
        self._known = _known(self._train, angiograms, reports)
        self._pairs = Pairs(self._train, angiograms)
        if len(self._pairs.studies) < MIN_PAIRS:
            raise StenceError(
                f"{len(self._pairs.studies)} cath studies of the training patients have both an ECG before "
                "them and usable angiograms: pretraining compares pairs, wait for more."
            )
        self._pair = pair
        self.module: nn.Module = pair

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [
            {"params": self._pair.ecg_parameters(), "rate": self._config.ecg_rate},
            {"params": self._pair.angiogram_parameters(), "rate": self._config.angiogram_rate},
        ]

    def batches(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """Return batches with every study once, so no batch has two ECGs of a study."""
        return shuffled_batches(self._pairs.studies, self._config.batch_size, rng)

    def draw(self, rows: NDArray[np.int64], rng: np.random.Generator) -> _Batch:
        """Draw a random crop of a random ECG of each study, and random versions of some of its views."""
        ecgs = self._pairs.ecgs(rows, rng)
        return _Batch(
            torch.from_numpy(random_crops(self._train, ecgs, rng)),
            Views.of(self._angiograms.batch(rows, rng, self._config.drop_views)),
            torch.from_numpy(self._targets[rows]),
            torch.from_numpy(self._train.patients[ecgs]),
        )

    def loss(self, batch: _Batch, generator: torch.Generator) -> Tensor:
        config, device = self._config, self._device
        rate = self._train.recipe.sampling_rate
        windows = config.augmentation.apply(batch.windows.to(device), generator, rate)
        of_ecgs = self._pair.ecg(windows).float()
        of_angiograms, logits = self._pair.angiogram(*batch.views.to(device))
        rows = gathered(torch.cat((of_ecgs, of_angiograms.float(), logits), dim=1))
        of_ecgs, of_angiograms, logits = rows.tensor_split((config.shared, 2 * config.shared), dim=1)
        targets, patients = gathered(batch.targets.to(device)), gathered(batch.patients.to(device))
        pairs = pair_loss(of_ecgs, of_angiograms, patients, config.temperature)
        return pairs + config.stenosis_weight * stenosis_loss(logits, targets)

    def judge(self) -> float:
        return neighbours_auroc(
            self._pair.encoder,
            self._train,
            self._known,
            self._validation,
            self._config.neighbours,
            self._device,
        )


def _known(train: Part, angiograms: Angiograms, reports: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """Return the training ECGs with a known stenosis label that the probe may use."""
    known = ~np.isnan(train.labels[:, PROBED])
    if reports is not None:
        places = angiogram_of(train, angiograms)
        known &= (places >= 0) & reports[places]
    return np.flatnonzero(known)
