"""A linear probe learns on top of an encoder and leaves every bit of it as it was, whichever it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stence.cohort import Part
from stence.ecg import preprocess
from stence.encoders import ENCODERS
from stence.fitting.finetuning import first_encoder, fit
from stence.fitting.tasks import LabelTask
from stence.progress import silent
from stence.training import TrainingConfig
from support.ecgs import heartbeats
from support.encoders import SMALL

COUNT = 8


@pytest.fixture(scope="module")
def train() -> Part:
    raw = np.stack([heartbeats(number) for number in range(COUNT)]).astype(np.float32) / 1000
    return part_of(raw)


@pytest.fixture(scope="module")
def validation(train: Part) -> Part:
    return part_of(preprocess(train.signals[:, None, :, :1500]))


def part_of(signals: np.ndarray) -> Part:
    return Part(
        contents=tuple(map(str, range(COUNT))),
        patients=np.arange(COUNT),
        studies=np.arange(COUNT),
        labels=np.arange(2 * COUNT, dtype=np.float32).reshape(COUNT, 2) // 2 % 2,
        degrees=np.full((COUNT, 16), np.nan, np.float32),
        sex=np.full(COUNT, ""),
        age=np.full(COUNT, np.nan),
        samples=np.full(COUNT, 5000),
        rows=np.arange(COUNT),
        signals=signals,
    )


def tensors(module: nn.Module) -> dict[str, Tensor]:
    """All parameters and all buffers, those that no file keeps included."""
    return {name: tensor.clone() for name, tensor in [*module.named_parameters(), *module.named_buffers()]}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    equal = (torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one)
    return one.keys() == other.keys() and all(equal)


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_a_linear_probe_changes_no_bit_of_the_encoder(
    name: str, train: Part, validation: Part, tmp_path: Path, frozen: bool
) -> None:
    config = TrainingConfig(
        encoder=name,
        encoder_config=SMALL[name] | {"window_samples": 1500},
        frozen=frozen,
        epochs=2,
        warmup_epochs=0,
        patience=2,
        batch_size=4,
        encoder_rate=1e-2,
        head_rate=1e-2,
    )
    encoder = first_encoder(config)
    before, task = tensors(encoder), LabelTask(("one", "other"))
    saved = tmp_path / "checkpoint.safetensors"
    model, history = fit(config, train, validation, "cpu", saved, silent, encoder, task)

    assert history.steps == 4
    assert same(before, tensors(model.encoder)) == frozen
    assert same(before, tensors(encoder)), "the caller's own encoder was trained"
    assert model.normalise.num_batches_tracked is not None
    assert model.normalise.num_batches_tracked > 0
