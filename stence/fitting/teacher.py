"""The teacher: a SegmentMIL trained on cath reports to detect stenosis on angiograms.

The last blocks of the backbone may be trained with it. Then the angiograms hold the states of the tokens that
enter these blocks, in place of patch features.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit
from torch import Tensor, nn

from stence.cohort import Split
from stence.cohort.angiograms import Angiograms
from stence.encoders.base import Weights
from stence.errors import StenceError
from stence.evaluation.evaluate import auroc
from stence.fitting.distributed import gathered
from stence.fitting.loop import TrainingHistory, run
from stence.fitting.losses import stenosis_loss
from stence.fitting.schedule import Schedule
from stence.fitting.studies import Views, in_groups, rows_of, shuffled_batches, targets_of
from stence.models import FinalBlocks, FinetunedTeacher, SegmentMIL
from stence.models.angiographic import THRESHOLD
from stence.progress import Progress

STUDIES_READ_TOGETHER = 32


class TeacherConfig(BaseModel):
    """Hyperparameters of the teacher. The defaults are those of the paper."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embed_dim: int = Field(512, ge=4, description="Width of the decoder: a multiple of 4 and of heads.")
    layers: int = Field(2, ge=1)
    heads: int = Field(4, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    threshold: float = Field(THRESHOLD, gt=0, le=100, description="Smallest degree of a stenosis, percent.")
    weights: Literal["segment-mil"] | None = Field(
        None, description="Imported initial weights, with backbone: segment-mil; none: random weights."
    )
    seed: int = Field(0, ge=0)
    epochs: int = Field(100, ge=1)
    warmup_epochs: float = Field(0, ge=0, description="Epochs of linear warm-up of the learning rate.")
    patience: int = Field(25, ge=1, description="Epochs without a better AUROC before early stopping.")
    batch_size: int = Field(10, ge=1, description="Number of studies in a batch.")
    accumulation: int = Field(6, ge=1, description="Batches per optimizer step (gradient accumulation).")
    rate: float = Field(1e-4, gt=0, description="Learning rate.")
    weight_decay: float = Field(5e-4, ge=0)
    gradient_clip: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    finetune_blocks: int = Field(
        0, ge=0, description="Last blocks of the backbone that are trained with the teacher; 0: it is frozen."
    )
    backbone_rate: float = Field(1e-5, gt=0, description="Learning rate of these blocks.")

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

    def build(self, patch_dim: int, published: Weights | None = None) -> SegmentMIL:
        """Build a SegmentMIL for patches of ``patch_dim``, published or with random weights.

        Raises WeightsError for published weights of other dimensions.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = SegmentMIL(patch_dim, self.embed_dim, self.layers, self.heads, self.dropout)
        if published is not None:
            model.load_published(published)
        return model


def train_teacher(
    angiograms: Angiograms,
    config: TeacherConfig,
    device: str,
    saved: Path,
    progress: Progress,
    usable: NDArray[np.bool_] | None = None,
    start: Weights | None = None,
    backbone: FinalBlocks | None = None,
) -> tuple[SegmentMIL, TrainingHistory]:
    """Train the teacher on the training studies. Resume from the checkpoint ``saved`` if it exists.

    ``usable`` (studies,) marks the reports that may be used (None: all). ``start`` are published weights to
    start from, else they are random. ``backbone`` is trained too, in place, if it is given: the angiograms
    then hold the states that enter it. The best epoch has the highest mean
    validation AUROC of the 11 targets. Raises StenceError if a split has no study with targets.
    """
    stage = _Teaching(angiograms, config, device, usable, start, backbone)
    history = run(stage, config.schedule, device, saved, progress)
    return stage.model, history


@torch.inference_mode()
def study_logits(
    model: SegmentMIL | FinetunedTeacher, angiograms: Angiograms, rows: NDArray[np.int64], device: str
) -> NDArray[np.float64]:
    """Return logits (n, 11) of these studies, from all their views without augmentation."""
    logits = [
        model(*Views.of(angiograms.batch(some, None, 0.0)).to(device)).double().cpu().numpy()
        for some in in_groups(rows, STUDIES_READ_TOGETHER)
    ]
    return np.concatenate(logits)


class _Batch(NamedTuple):
    views: Views
    targets: Tensor


class _Teaching:
    """Training of the teacher as a stage of ``stence.fitting.loop``."""

    name = "teacher"

    def __init__(
        self,
        angiograms: Angiograms,
        config: TeacherConfig,
        device: str,
        usable: NDArray[np.bool_] | None,
        start: Weights | None,
        backbone: FinalBlocks | None,
    ) -> None:
        self._angiograms, self._config, self._device = angiograms, config, device
        self._targets = targets_of(angiograms, config.threshold, usable)
        self._learned_from = self._with_targets(Split.TRAIN)
        self._judged_by = self._with_targets(Split.VALIDATION)
        self.model = config.build(angiograms.patch_dim, start).to(device)
        self._backbone = backbone
        self._whole = FinetunedTeacher(backbone.to(device), self.model) if backbone else self.model
        self.module: nn.Module = self._whole

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the teacher's parameters and those of the backbone, which have a rate of their own."""
        groups = [{"params": list(self.model.parameters()), "rate": self._config.rate}]
        if self._backbone is not None:
            groups.append({"params": list(self._backbone.parameters()), "rate": self._config.backbone_rate})
        return groups

    def batches(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        return shuffled_batches(self._learned_from, self._config.batch_size, rng)

    def draw(self, rows: NDArray[np.int64], rng: np.random.Generator) -> _Batch:
        """Draw a random augmented version of each view."""
        views = Views.of(self._angiograms.batch(rows, rng, 0.0))
        return _Batch(views, torch.from_numpy(self._targets[rows]))

    def loss(self, batch: _Batch, generator: torch.Generator) -> Tensor:
        logits = self._whole(*batch.views.to(self._device))
        return stenosis_loss(gathered(logits), gathered(batch.targets.to(self._device)))

    def judge(self) -> float:
        logits = study_logits(self._whole, self._angiograms, self._judged_by, self._device)
        return auroc(expit(logits), self._targets[self._judged_by])

    def _with_targets(self, split: Split) -> NDArray[np.int64]:
        rows = rows_of(self._angiograms, split)
        rows = rows[~np.isnan(self._targets[rows]).any(axis=1)]
        if not len(rows):
            raise StenceError(
                f"No angiogram of the {split} patients has a cath report with known targets: the teacher "
                "needs some in each split; wait for more."
            )
        return rows
