"""What the processes of tests/unit/test_distributed.py do, started by torchrun: COMMAND FOLDER."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from stence.cohort import Split
from stence.fitting import distributed
from stence.fitting.finetuning import TrainingConfig, fit
from stence.fitting.losses import pair_loss, stenosis_loss
from stence.fitting.pretraining import PretrainingConfig, pretrain
from stence.fitting.teacher import TeacherConfig, train_teacher
from stence.models import StencePair
from stence.progress import Progress, silent
from support.finetuning import entering_states, tiny_blocks
from support.pairs import LeadPowers, tiny_pairs

ROWS = 9


class Both(nn.Module):
    """Both losses of a linear model's outputs, over the rows of all processes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.ecg, self.angiogram = nn.Linear(6, 4), nn.Linear(6, 4)
        self.stenosis = nn.Linear(6, 11)
        self.normalise = nn.BatchNorm1d(6)

    def forward(self, inputs: Tensor, targets: Tensor, patients: Tensor) -> Tensor:
        inputs = self.normalise(inputs)
        outputs = torch.cat((self.ecg(inputs), self.angiogram(inputs), self.stenosis(inputs)), dim=1)
        ecgs, angiograms, logits = distributed.gathered(outputs).tensor_split((4, 8), dim=1)
        pairs = pair_loss(ecgs, angiograms, distributed.gathered(patients))
        return pairs + stenosis_loss(logits, distributed.gathered(targets))


def batch() -> tuple[Tensor, Tensor, Tensor]:
    """Rows, with targets for most of them, and one patient twice."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(ROWS, 6, generator=generator)
    targets = torch.randint(2, (ROWS, 11), generator=generator).float()
    targets[[1, 3, 5]] = torch.nan  # most of them in the second process' share
    return inputs, targets, torch.tensor([0, 1, 2, 3, 0, 5, 6, 7, 8])


def losses(folder: Path) -> None:
    """Loss and gradients of this process' share of the batch."""
    model = Both()
    distributed.synchronise_batch_norms(model)
    shared = DistributedDataParallel(model)
    rows = distributed.shard(np.arange(ROWS))
    loss = shared(*(part[rows] for part in batch()))
    loss.backward()
    found = {name: weight.grad for name, weight in model.named_parameters()}
    found |= {"loss": loss.detach()} | dict(model.named_buffers())
    save_file(
        {name: tensor for name, tensor in found.items() if tensor is not None},
        folder / f"{distributed.rank()}",
    )


class Killed(BaseException):
    """In the place of SIGKILL."""


def training(folder: Path) -> None:
    """A teacher, a fine-tuning whose encoder learns late, and two pretrainings, one of which is killed."""
    cohort, angiograms = tiny_pairs()
    own = folder / str(distributed.rank())
    own.mkdir()
    teaching = TeacherConfig(embed_dim=32, epochs=2, batch_size=16, accumulation=2)
    teacher, _ = train_teacher(angiograms, teaching, "cpu", folder / "teacher", silent)

    def pretrained(saved: Path, progress: Progress) -> StencePair:
        torch.manual_seed(0)
        config = PretrainingConfig(shared=16, epochs=4, batch_size=16, probe_every=2, ecg_rate=1e-3)
        return pretrain(cohort, angiograms, config, LeadPowers(), teacher, "cpu", saved, progress)[0]

    def until_killed(stage: str, done: int, total: int | None = None, note: str = "") -> None:
        if done == 2:
            raise Killed

    tuning = TrainingConfig(
        frozen_epochs=1,
        epochs=3,
        warmup_epochs=0,
        patience=3,
        batch_size=15,
        encoder_rate=1e-2,
        head_rate=1e-2,
    )
    parts = (cohort.parts[split] for split in (Split.TRAIN, Split.VALIDATION))
    torch.manual_seed(0)
    tuned, _ = fit(tuning, *parts, "cpu", folder / "tuned", silent, LeadPowers())
    save_file(tuned.state_dict(), own / "tuned.safetensors")
    save_file(pretrained(folder / "whole", silent).state_dict(), own / "whole.safetensors")
    with suppress(Killed):
        pretrained(folder / "killed", until_killed)
    save_file(pretrained(folder / "killed", silent).state_dict(), own / "killed.safetensors")


def finetuning(folder: Path) -> None:
    """A teacher and the last block of its backbone."""
    backbone = tiny_blocks()
    config = TeacherConfig(embed_dim=16, layers=1, epochs=2, batch_size=15, accumulation=2, finetune_blocks=1)
    states = entering_states()
    train_teacher(states, config, "cpu", folder / "teacher", silent, backbone=backbone)
    save_file(backbone.state_dict(), folder / f"backbone-{distributed.rank()}.safetensors")


COMMANDS: dict[str, Callable[[Path], None]] = {
    "finetuning": finetuning,
    "losses": losses,
    "training": training,
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    with distributed.joined("cpu"):
        COMMANDS[sys.argv[1]](Path(sys.argv[2]))
