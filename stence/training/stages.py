"""The three stages of a retraining. Each stage reads its input from a folder and writes its result there.

    angiograms -> teacher -> pretraining (with ECGs) -> finetuning

A killed stage resumes from its last checkpoint. A finished stage is not repeated.
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
from stence.fitting.clinical import fuse_age_and_sex
from stence.fitting.finetuned_features import write_finetuned_features
from stence.fitting.finetuning import first_encoder, first_model, fit
from stence.fitting.loop import TrainingHistory
from stence.fitting.pretraining import first_pair, pretrain
from stence.fitting.tasks import TREE
from stence.fitting.teacher import train_teacher
from stence.fitting.threads import torch_threads
from stence.models import ClinicalHead, FinalBlocks, RiskModel, SegmentMIL, StencePair
from stence.progress import Progress
from stence.training.config import RetrainConfig

TEACHER, PRETRAINING, FINETUNING = "teacher", "pretraining", "finetuning"
COHORT, ANGIOGRAMS, UNREFERRED = "cohort", "angiograms", "unreferred"
START = "start.safetensors"
"""The encoder's published weights, if the configuration names any."""
TEACHER_START = "teacher_start.safetensors"
"""The teacher's published weights, if the configuration names any."""
BACKBONE_START = "backbone_start.safetensors"
"""The backbone's last blocks as they were published, if the configuration fine-tunes any."""
FINETUNED = "angiograms-finetuned"
"""The angiograms with patch features of the fine-tuned backbone."""
MODEL, BACKBONE = "model", "backbone"
"""Parts of a stage's result; only a teacher with a fine-tuned backbone has the second."""
SETUP = "config.json"


def repeat(number: int) -> str:
    """Return the name of the fine-tuning with the seed of this number.

    >>> repeat(0), repeat(2)
    ('finetuning', 'finetuning-2')
    """
    return f"{FINETUNING}-{number}" if number else FINETUNING


class TrainingWorkspace:
    """A training's folder: the data, the configuration, and the results of earlier stages."""

    def __init__(self, folder: Path, config: RetrainConfig) -> None:
        self.folder, self.config = folder, config

    @cached_property
    def cohort(self) -> Cohort:
        """The labelled ECGs."""
        return read_cohort(self.folder / COHORT)

    @cached_property
    def prepared_angiograms(self) -> Angiograms:
        """Input of the teacher: patch features; or states that enter the blocks which are trained with it."""
        return read_angiograms(self.folder / ANGIOGRAMS)

    @cached_property
    def angiograms(self) -> Angiograms:
        """The patch features of their studies; of the fine-tuned backbone, if it is fine-tuned."""
        if not self.config.teacher.finetune_blocks:
            return self.prepared_angiograms
        return read_angiograms(self.folder / FINETUNED)

    def is_done(self, stage: str) -> bool:
        """True if the stage's result exists."""
        return self.result(stage).exists()

    def checkpoint(self, stage: str) -> Path:
        """Path of a stage's checkpoint, from which the stage resumes."""
        return self.folder / f"{stage}.checkpoint.safetensors"

    def keep(
        self, stage: str, module: nn.Module, history: TrainingHistory, backbone: nn.Module | None = None
    ) -> None:
        """Write a stage's result and delete its checkpoint, in the first process only."""
        if distributed.rank() == 0:
            parts = {MODEL: module.state_dict()}
            if backbone is not None:
                parts[BACKBONE] = backbone.state_dict()
            checkpoint.write(self.result(stage), parts, asdict(history))
            self.checkpoint(stage).unlink(missing_ok=True)

    def history(self, stage: str) -> TrainingHistory:
        """Training history of a finished stage."""
        return TrainingHistory(**self._read(stage)[1])

    def weights(self, stage: str) -> dict[str, Tensor]:
        """Weights of a finished stage."""
        return self._read(stage)[0][MODEL]

    def teacher(self) -> SegmentMIL:
        """The trained teacher."""
        teacher = self._first_teacher()
        teacher.load_state_dict(self.weights(TEACHER))
        return teacher.eval()

    def backbone(self) -> FinalBlocks:
        """The blocks of the backbone that were trained with the teacher."""
        return FinalBlocks.load(self._read(TEACHER)[0][BACKBONE])

    def pair(self) -> StencePair:
        """The pretrained pair of ECG and angiogram encoders."""
        pair = first_pair(self._first_encoder(), self._first_teacher(), self.config.pretraining)
        pair.load_state_dict(self.weights(PRETRAINING))
        return pair.eval()

    def risk_model(self, number: int = 0) -> RiskModel:
        """The fine-tuned risk model; ``number`` above 0: the one of another seed."""
        model = first_model(self.config.finetuning, self._first_encoder(), len(TREE.outputs))
        if self.config.age_and_sex:
            model.clinical = ClinicalHead()
        model.load_state_dict(self.weights(repeat(number)))
        return model.eval()

    def teach(self, device: str, progress: Progress) -> None:
        """Train the teacher, SegmentMIL, to detect stenosis on angiograms; the labels are cath reports."""
        saved, published = self.checkpoint(TEACHER), self.folder / TEACHER_START
        start = load_file(published) if published.exists() else None
        angiograms, config, backbone = self.prepared_angiograms, self.config.teacher, self._first_backbone()
        result = train_teacher(angiograms, config, device, saved, progress, start=start, backbone=backbone)
        self.keep(TEACHER, *result, backbone)

    def apply_teacher(self, device: str, progress: Progress) -> None:
        """Compute patch features with the teacher's fine-tuned backbone; nothing to do if it was frozen."""
        if self.config.teacher.finetune_blocks:
            states, folder = self.folder / ANGIOGRAMS, self.folder / FINETUNED
            with torch_threads(self.config.cpu_threads):
                write_finetuned_features(states, self.backbone(), device, folder, progress)

    def pretrain(self, device: str, progress: Progress) -> None:
        """Pretrain both encoders: an ECG and the angiograms of its study get similar embeddings."""
        config, saved = self.config.pretraining, self.checkpoint(PRETRAINING)
        encoder, teacher = self._first_encoder(), self.teacher()
        result = pretrain(self.cohort, self.angiograms, config, encoder, teacher, device, saved, progress)
        self.keep(PRETRAINING, *result)

    def finetune(self, device: str, progress: Progress) -> None:
        """Fine-tune the encoder and a head on the labels of cath reports, then fuse it with age and sex.

        It is done once for each seed. The first seed is that of the model and comes last, as it completes the
        stage.
        """
        for number in reversed(range(self.config.seeds)):
            if not self.is_done(repeat(number)):
                self._finetune(number, device, progress)

    def _finetune(self, number: int, device: str, progress: Progress) -> None:
        train, validation = (self.cohort.parts[split] for split in (Split.TRAIN, Split.VALIDATION))
        start, saved = self.pair().encoder, self.checkpoint(repeat(number))
        first = self.config.finetuning
        config = first.model_copy(update={"seed": first.seed + number})
        model, history = fit(config, train, validation, device, saved, progress, start)
        if self.config.age_and_sex:
            fuse_age_and_sex(model, config, train, validation, device)
        self.keep(repeat(number), model, history)

    def _first_encoder(self) -> Encoder:
        published = self.folder / START
        return first_encoder(self.config.finetuning, load_file(published) if published.exists() else None)

    def _first_teacher(self) -> SegmentMIL:
        return self.config.teacher.build(self.prepared_angiograms.patch_dim)

    def _first_backbone(self) -> FinalBlocks | None:
        """The backbone's last blocks as they were published; None if they are not trained."""
        if not self.config.teacher.finetune_blocks:
            return None
        return FinalBlocks.load(load_file(self.folder / BACKBONE_START))

    def result(self, stage: str) -> Path:
        """Path of a stage's weights and training history."""
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
    """Write the configuration for stages in other processes; return the workspace for this one."""
    (folder / SETUP).write_text(config.model_dump_json(indent=2))
    return TrainingWorkspace(folder, config)


def run(stage: str, folder: Path, device: str, progress: Progress) -> None:
    """Run ``stage`` in ``folder``, from its last checkpoint if one exists. Do nothing if it is finished."""
    workspace = TrainingWorkspace(folder, RetrainConfig.model_validate_json((folder / SETUP).read_text()))
    if not workspace.is_done(stage):
        with torch_threads(workspace.config.cpu_threads):
            STAGES[stage](workspace, device, progress)
