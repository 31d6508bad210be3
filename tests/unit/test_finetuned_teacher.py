"""A teacher that trains the last blocks of its backbone, and the patch features of these blocks."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stence.cohort import Angiograms, read_angiograms
from stence.cohort.angiograms import FEATURES, INDEX
from stence.fitting.finetuned_features import write_finetuned_features
from stence.fitting.loop import TrainingHistory
from stence.fitting.teacher import TeacherConfig, train_teacher
from stence.progress import Progress, silent
from support.finetuning import WIDTH, entering_states, tiny_blocks

CONFIG = TeacherConfig(
    embed_dim=16,
    layers=1,
    heads=2,
    epochs=3,
    batch_size=16,
    accumulation=1,
    rate=1e-3,
    finetune_blocks=1,
    backbone_rate=1e-3,
)
STATES = entering_states()


class Killed(BaseException):
    """In the place of SIGKILL."""


def killing_at(done: int) -> Progress:
    def progress(_stage: str, count: int, total: int | None = None, note: str = "") -> None:
        if count == done:
            raise Killed

    return progress


def taught(
    saved: Path, config: TeacherConfig = CONFIG, progress: Progress = silent
) -> tuple[dict[str, Tensor], TrainingHistory]:
    """Weights of the teacher and its blocks after a training, and its history."""
    backbone = tiny_blocks()
    model, history = train_teacher(STATES, config, "cpu", saved, progress, backbone=backbone)
    return {**model.state_dict(), **backbone.state_dict()}, history


def change(weights: dict[str, Tensor]) -> float:
    """Largest change of a weight of the blocks."""
    first = tiny_blocks().state_dict()
    return max((weights[name] - tensor).abs().max().item() for name, tensor in first.items())


def test_the_blocks_learn_at_their_own_rate(tmp_path: Path) -> None:
    fast, slow = (
        taught(tmp_path / f"{rate}", CONFIG.model_copy(update={"backbone_rate": rate, "epochs": 1}))[0]
        for rate in (1e-3, 1e-6)
    )
    assert change(fast) > 100 * change(slow) > 0


def test_the_same_training_ends_the_same_also_after_a_kill(tmp_path: Path) -> None:
    whole, history = taught(tmp_path / "whole")
    with suppress(Killed):
        taught(tmp_path / "killed", progress=killing_at(2))
    found, resumed = taught(tmp_path / "killed")
    assert resumed == history
    torch.testing.assert_close(found, whole, rtol=0, atol=0)


def gathered(folder: Path, angiograms: Angiograms) -> Path:
    """A folder with these angiograms, as gathering writes it."""
    folder.mkdir()
    angiograms.features.tofile(folder / FEATURES)
    studies = [
        {
            "number": int(number),
            "first": int(first),
            "count": int(count),
            "degrees": list(degrees),
            "split": split,
        }
        for number, first, count, degrees, split in zip(
            angiograms.study,
            angiograms.first,
            angiograms.count,
            angiograms.degrees.tolist(),
            angiograms.splits,
            strict=True,
        )
    ]
    shape = angiograms.features.shape[1:]
    index = {"studies": studies, "angles": angiograms.angles.tolist(), "shape": shape}
    (folder / INDEX).write_text(json.dumps(index))
    return folder


def test_the_features_are_those_of_the_trained_blocks(tmp_path: Path) -> None:
    states, blocks, target = gathered(tmp_path / "states", STATES), tiny_blocks(), tmp_path / "features"
    write_finetuned_features(states, blocks, "cpu", target, silent)
    found = read_angiograms(target)
    with torch.inference_mode():
        wanted = blocks(torch.from_numpy(STATES.features[:, 0])).half().numpy()
    assert found.features.shape == (*STATES.features.shape[:3], STATES.features.shape[3] - 1, WIDTH)
    np.testing.assert_allclose(found.features[:, 0], wanted, atol=2e-3)
    np.testing.assert_array_equal(found.angles, STATES.angles)
    assert found.splits == STATES.splits


def test_a_killed_writing_goes_on_behind_its_last_whole_view(tmp_path: Path) -> None:
    states, target = gathered(tmp_path / "states", STATES), tmp_path / "features"
    write_finetuned_features(states, tiny_blocks(), "cpu", tmp_path / "whole", silent)
    with suppress(Killed):
        write_finetuned_features(states, tiny_blocks(), "cpu", target, killing_at(5))
    with (target / FEATURES).open("ab") as file:
        file.write(b"half a view")
    told: list[int] = []
    write_finetuned_features(states, tiny_blocks(), "cpu", target, lambda _, done, *__: told.append(done))
    assert told == list(range(6, len(STATES.features) + 1))
    assert (target / FEATURES).read_bytes() == (tmp_path / "whole" / FEATURES).read_bytes()
    told.clear()
    write_finetuned_features(states, tiny_blocks(), "cpu", target, lambda _, done, *__: told.append(done))
    assert told == [], "complete features are computed again"
