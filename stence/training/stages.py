"""The three stages of a retraining, each from what lies in its folder to a result there, once and for all.

    angiograms -> teacher -> pretraining (with ECGs) -> finetuning

A stage that was killed goes on from its last checkpoint; one that is finished is not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn

from stence.cohort import Angiograms, Cohort, Split, read_angiograms, read_cohort
from stence.encoders import Encoder
from stence.errors import StenceError
from stence.fitting import checkpoint, distributed
from stence.fitting.finetuning import first_encoder, first_model, fit
from stence.fitting.loop import TrainingHistory
from stence.fitting.pretraining import first_pair, pretrain
from stence.fitting.tasks import TREE
from stence.fitting.teacher import train_teacher
from stence.fitting.threads import torch_threads
from stence.models import RiskModel, SegmentMIL, StencePair
from stence.progress import Progress
from stence.training.config import RetrainConfig

TEACHER, PRETRAINING, FINETUNING = "teacher", "pretraining", "finetuning"
COHORT, ANGIOGRAMS = "cohort", "angiograms"
START = "start.safetensors"
"""Published weights of the encoder, where the configuration names some."""
SETUP = "config.json"


class TrainingWorkspace:
    """A training's folder as a stage finds it: the data, the configuration, and what earlier stages left."""

    def __init__(self, folder: Path, config: RetrainConfig) -> None:
        self.folder, self.config = folder, config

    @cached_property
    def cohort(self) -> Cohort:
        """The labelled ECGs."""
        return read_cohort(self.folder / COHORT)

    @cached_property
    def angiograms(self) -> Angiograms:
        """The patch features of their studies."""
        return read_angiograms(self.folder / ANGIOGRAMS)

    def is_done(self, stage: str) -> bool:
        """Whether the stage has left its result."""
        return self.result(stage).exists()

    def checkpoint(self, stage: str) -> Path:
        """Where a stage keeps what it goes on from."""
        return self.folder / f"{stage}.checkpoint.safetensors"

    def keep(self, stage: str, module: nn.Module, history: TrainingHistory) -> None:
        """Write a stage's result, in the first process only; its checkpoint is needed no more."""
        if distributed.rank() == 0:
            checkpoint.write(self.result(stage), {"model": module.state_dict()}, asdict(history))
            self.checkpoint(stage).unlink(missing_ok=True)

    def history(self, stage: str) -> TrainingHistory:
        """How a finished stage went."""
        return TrainingHistory(**self._read(stage)[1])

    def weights(self, stage: str) -> dict[str, Tensor]:
        """A finished stage's weights."""
        return self._read(stage)[0]["model"]

    def teacher(self) -> SegmentMIL:
        """What teaching left."""
        teacher = self._first_teacher()
        teacher.load_state_dict(self.weights(TEACHER))
        return teacher.eval()

    def pair(self) -> StencePair:
        """What pretraining left."""
        pair = first_pair(self._first_encoder(), self._first_teacher(), self.config.pretraining)
        pair.load_state_dict(self.weights(PRETRAINING))
        return pair.eval()

    def risk_model(self) -> RiskModel:
        """What fine-tuning left."""
        model = first_model(self.config.finetuning, self._first_encoder(), len(TREE.outputs))
        model.load_state_dict(self.weights(FINETUNING))
        return model.eval()

    def teach(self, device: str, progress: Progress) -> None:
        """SegmentMIL learns from reports to find stenosis on angiograms."""
        saved = self.checkpoint(TEACHER)
        self.keep(TEACHER, *train_teacher(self.angiograms, self.config.teacher, device, saved, progress))

    def pretrain(self, device: str, progress: Progress) -> None:
        """ECGs and angiograms of one study meet in one space."""
        config, saved = self.config.pretraining, self.checkpoint(PRETRAINING)
        encoder, teacher = self._first_encoder(), self.teacher()
        result = pretrain(self.cohort, self.angiograms, config, encoder, teacher, device, saved, progress)
        self.keep(PRETRAINING, *result)

    def finetune(self, device: str, progress: Progress) -> None:
        """The encoder and a head learn from reports."""
        train, validation = (self.cohort.parts[split] for split in (Split.TRAIN, Split.VALIDATION))
        start = self.pair().encoder
        config, saved = self.config.finetuning, self.checkpoint(FINETUNING)
        self.keep(FINETUNING, *fit(config, train, validation, device, saved, progress, start))

    def _first_encoder(self) -> Encoder:
        published = self.folder / START
        return first_encoder(self.config.finetuning, load_file(published) if published.exists() else None)

    def _first_teacher(self) -> SegmentMIL:
        return self.config.teacher.build(self.angiograms.patch_dim)

    def result(self, stage: str) -> Path:
        """Where a stage leaves its weights and its course."""
        return self.folder / f"{stage}.safetensors"

    def _read(self, stage: str) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
        found = checkpoint.read(self.result(stage))
        if found is None:
            raise StenceError(f"The stage {stage} has not been done in {self.folder} yet.")
        return found


STAGES: Mapping[str, Callable[[TrainingWorkspace, str, Progress], None]] = MappingProxyType(
    {
        TEACHER: TrainingWorkspace.teach,
        PRETRAINING: TrainingWorkspace.pretrain,
        FINETUNING: TrainingWorkspace.finetune,
    }
)


def set_up(folder: Path, config: RetrainConfig) -> TrainingWorkspace:
    """Write down what a stage in another process needs to know; the bench for this one."""
    (folder / SETUP).write_text(config.model_dump_json(indent=2))
    return TrainingWorkspace(folder, config)


def run(stage: str, folder: Path, device: str, progress: Progress) -> None:
    """Do ``stage`` in ``folder``, from its last checkpoint where there is one; nothing where it is done."""
    workspace = TrainingWorkspace(folder, RetrainConfig.model_validate_json((folder / SETUP).read_text()))
    if not workspace.is_done(stage):
        with torch_threads(workspace.config.cpu_threads):
            STAGES[stage](workspace, device, progress)
