"""The trainings of a study. Cells share teachers and pretrainings; each cell has its own fine-tuning.

    teacher of a seed -> pretraining of an encoder, arm and seed -> fine-tuning of each endpoint and fraction

Each result is a file whose name holds a hash of all its inputs. After a change of the configuration, results
with unchanged inputs are used again, and all others are computed anew.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stence import __version__
from stence.cohort import Part, Split
from stence.encoders import Encoder
from stence.encoders.base import Weights
from stence.errors import StenceError
from stence.files import write_json
from stence.fitting import checkpoint
from stence.fitting.finetuning import ecg_logits, first_encoder, fit
from stence.fitting.fractions import label_share
from stence.fitting.loop import TrainingHistory
from stence.fitting.pretraining import pretrain
from stence.fitting.tasks import BinaryTask
from stence.fitting.teacher import train_teacher
from stence.models import SegmentMIL
from stence.progress import Progress
from stence.study.config import BASELINES, Arm, StudyConfig
from stence.study.data import Data
from stence.study.published import Published
from stence.study.steps import Step


@dataclass(frozen=True)
class Cell:
    """One fine-tuning of the study."""

    encoder: str
    arm: Arm
    task: BinaryTask
    fraction: float
    seed: int

    @property
    def label(self) -> str:
        """Label for file names and progress."""
        endpoint = f"{self.task.low:g}-{self.task.high:g}"
        return f"{self.encoder}-{self.arm}-{endpoint}-labels{self.fraction:g}-seed{self.seed}"


@dataclass(frozen=True)
class Outcome:
    """Logits (n,) of a cell's model on the test ECGs, or the reason why there is no model."""

    logits: NDArray[np.float64] | None
    reason: str = ""


class Cells:
    """All trainings of a study as steps, with their files in ``folder``.

    ``published`` holds the encoders' published weights if they were imported, random weights otherwise. They
    are the initial weights of StenCE's pretraining, and of fine-tuning in the arm ``published``.
    """

    def __init__(
        self,
        config: StudyConfig,
        data: Data,
        published: Mapping[str, Published],
        folder: Path,
        device: str,
        progress: Progress,
    ) -> None:
        self._config, self._data, self._published = config, data, published
        self._folder, self._device, self._progress = folder, device, progress
        self._given = (data.fingerprint, __version__)
        self._steps: dict[Cell, Step] = {}
        self._shared: dict[Path, Step] = {}
        for seed, fraction, task, name, arm in product(
            config.seeds, config.label_fractions, config.tasks, config.encoders, config.arms
        ):
            if arm != Arm.PUBLISHED or published[name].is_imported:
                cell = Cell(name, arm, task, fraction, seed)
                self._steps[cell] = self._finetuning(cell)

    @property
    def steps(self) -> list[Step]:
        """All steps, each after the steps it needs."""
        ordered: dict[Path, Step] = {}
        for step in self._steps.values():
            for each in (*(first for need in step.needs for first in need.needs), *step.needs, step):
                ordered[each.path] = each
        return list(ordered.values())

    def outcomes(self) -> dict[Cell, Outcome]:
        """Read the outcomes of all cells, after all steps are done."""
        return {cell: _outcome(step.path) for cell, step in self._steps.items()}

    def _teaching(self, seed: int) -> Step:
        decisive = (*self._given, self._config.teacher_of(seed).model_dump(mode="json"))
        path = self._path(f"teacher-seed{seed}", decisive)
        return self._once(Step(path.stem, path, partial(self._teach, seed, path)))

    def _pretraining(self, encoder: str, arm: Arm, seed: int) -> Step:
        teaching = self._teaching(seed)
        config = self._config.pretraining_of(encoder, seed, arm).model_dump(mode="json")
        decisive = (teaching.path.name, config, self._first(encoder))
        path = self._path(f"pretrained-{encoder}-{arm}-seed{seed}", decisive)
        work = partial(self._pretrain, encoder, arm, seed, teaching.path, path)
        return self._once(Step(path.stem, path, work, (teaching,)))

    def _finetuning(self, cell: Cell) -> Step:
        is_pretrained = cell.arm not in BASELINES
        needs = (self._pretraining(cell.encoder, cell.arm, cell.seed),) if is_pretrained else ()
        config = self._config.finetuning_of(cell.encoder, cell.fraction, cell.seed).model_dump(mode="json")
        start = self._first(cell.encoder) if cell.arm is Arm.PUBLISHED else None
        decisive = (*self._given, asdict(cell), config, start, *(step.path.name for step in needs))
        path = self._path(cell.label, decisive, "json")
        return Step(cell.label, path, partial(self._finetune, cell, needs, path), needs)

    def _once(self, step: Step) -> Step:
        return self._shared.setdefault(step.path, step)

    def _path(self, label: str, decisive: tuple[Any, ...], kind: str = "safetensors") -> Path:
        digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]
        return self._folder / f"{label}-{digest}.{kind}"

    def _first(self, encoder: str) -> tuple[Any, ...]:
        """Return all inputs except the seed that determine an encoder's initial weights."""
        choice = self._config.encoders[encoder]
        return choice.encoder, choice.config, choice.recipe, self._published[encoder].origin

    def _teach(self, seed: int, path: Path) -> None:
        config = self._config.teacher_of(seed)
        saved = _checkpoint(path)
        teacher, history = train_teacher(self._data.angiograms, config, self._device, saved, self._progress)
        _keep(path, teacher, history)

    def _pretrain(self, name: str, arm: Arm, seed: int, taught: Path, path: Path) -> None:
        teacher = self._config.teacher_of(seed).build(self._data.angiograms.patch_dim)
        _load(teacher, taught)
        pair, history = pretrain(
            self._data.cohorts[self._config.encoders[name].input.version],
            self._data.angiograms,
            self._config.pretraining_of(name, seed, arm),
            self._encoder(name, seed, self._published[name].read()),
            teacher,
            self._device,
            _checkpoint(path),
            self._progress,
        )
        _keep(path, pair.encoder, history)

    def _finetune(self, cell: Cell, needs: tuple[Step, ...], path: Path) -> None:
        """Train a cell and write its result. If it cannot be trained, write the reason instead."""
        began = time.monotonic()
        try:
            found = self._fitted(cell, needs, _checkpoint(path))
        except StenceError as error:
            found = {"reason": str(error)}
        about: dict[str, Any] = {
            "encoder": cell.encoder,
            "arm": cell.arm,
            "endpoint": [cell.task.low, cell.task.high],
        }
        about |= {"label_fraction": cell.fraction, "seed": cell.seed}
        about |= {"seconds": round(time.monotonic() - began, 1)}
        write_json(path, about | found)
        _checkpoint(path).unlink(missing_ok=True)

    def _fitted(self, cell: Cell, needs: tuple[Step, ...], saved: Path) -> dict[str, Any]:
        config = self._config.finetuning_of(cell.encoder, cell.fraction, cell.seed)
        splits = (Split.TRAIN, Split.VALIDATION, Split.TEST)
        train, validation, test = (self._data.part(split, config.input) for split in splits)
        _check_answers(cell, train, validation, test)
        model, history = fit(
            config,
            train,
            validation,
            self._device,
            saved,
            self._progress,
            self._start(cell, needs),
            cell.task,
        )
        logits = ecg_logits(model, test, self._device)[:, 0]
        validated = history.best_validation_auroc
        return {"best_epoch": history.best_epoch, "validation_auroc": validated, "logits": logits.tolist()}

    def _start(self, cell: Cell, needs: tuple[Step, ...]) -> Encoder | None:
        """Return the encoder that a cell starts from; None for random weights."""
        if cell.arm is Arm.SCRATCH:
            return None
        if cell.arm is Arm.PUBLISHED:
            return self._encoder(cell.encoder, cell.seed, self._published[cell.encoder].read())
        encoder = self._encoder(cell.encoder, cell.seed, None)
        _load(encoder, needs[0].path)
        return encoder

    def _encoder(self, name: str, seed: int, weights: Weights | None) -> Encoder:
        fraction = next(iter(self._config.label_fractions))  # any fraction gives the same encoder
        return first_encoder(self._config.finetuning_of(name, fraction, seed), weights)


def _check_answers(cell: Cell, train: Part, validation: Part, test: Part) -> None:
    """Raise StenceError if a split has no patient with, or no patient without, the stenosis."""
    used = label_share(train.patients, cell.fraction, cell.seed)
    parts = {
        "training": cell.task.answers(train)[used, 0],
        "validation": cell.task.answers(validation)[:, 0],
        "test": cell.task.answers(test)[:, 0],
    }
    for name, answers in parts.items():
        cases, controls = int((answers == 1).sum()), int((answers == 0).sum())
        if not (cases and controls):
            raise StenceError(f"{cases} {name} ECGs with the stenosis and {controls} without")


def _outcome(path: Path) -> Outcome:
    found = json.loads(path.read_text())
    if "reason" in found:
        return Outcome(None, found["reason"])
    return Outcome(np.array(found["logits"], dtype=np.float64))


def _checkpoint(path: Path) -> Path:
    return path.with_name(f"{path.stem}.checkpoint.safetensors")


def _keep(path: Path, module: SegmentMIL | Encoder, history: TrainingHistory) -> None:
    checkpoint.write(path, {"model": module.state_dict()}, asdict(history))
    _checkpoint(path).unlink(missing_ok=True)


def _load(module: SegmentMIL | Encoder, path: Path) -> None:
    found = checkpoint.read(path)
    if found is None:
        raise StenceError(f"{path} is missing: start the study again.")
    module.load_state_dict(found[0]["model"])
