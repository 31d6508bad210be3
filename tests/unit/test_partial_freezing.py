"""Partial unfreezing: an encoder that learns late, or only in its last blocks."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from stence.cohort import Cohort, Split
from stence.fitting import checkpoint
from stence.fitting.finetuning import TrainingConfig, fit
from stence.models import RiskModel
from stence.progress import Progress, silent
from support.pairs import LeadPowers, tiny_pairs

CONFIG = TrainingConfig(
    epochs=3, warmup_epochs=0, patience=3, batch_size=12, encoder_rate=1e-2, head_rate=1e-2
)


class Normalised(LeadPowers):
    """Has running statistics too, which would change in training."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(12, 32), nn.BatchNorm1d(32), nn.Dropout(0.5), nn.Linear(32, 32))


class Killed(BaseException):
    """In the place of SIGKILL."""


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return tiny_pairs({Split.TRAIN: 24, Split.VALIDATION: 16})[0]


def changed(**fields: object) -> TrainingConfig:
    return TrainingConfig.model_validate(CONFIG.model_dump() | fields)


def encoder() -> Normalised:
    torch.manual_seed(0)
    return Normalised()


def tuned(cohort: Cohort, config: TrainingConfig, saved: Path, progress: Progress = silent) -> RiskModel:
    parts = (cohort.parts[split] for split in (Split.TRAIN, Split.VALIDATION))
    return fit(config, *parts, "cpu", saved, progress, encoder())[0]


def latest(saved: Path) -> dict[str, Tensor]:
    """The weights of the last epoch."""
    found = checkpoint.read(saved)
    assert found is not None
    return found[0]["model"]


def learned(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}


def until_killed(stage: str, done: int, total: int | None = None, note: str = "") -> None:
    if done == 2:
        raise Killed


def test_the_encoder_is_frozen_in_its_first_epochs_and_learns_then(cohort: Cohort, tmp_path: Path) -> None:
    config, saved = changed(frozen_epochs=2), tmp_path / "killed"
    before = {f"encoder.{name}": tensor for name, tensor in encoder().state_dict().items()}
    with suppress(Killed):
        tuned(cohort, config, saved, until_killed)
    assert learned(before, latest(saved)) == set(), "it learned before the third epoch"
    tuned(cohort, config, saved)
    tuned(cohort, config, tmp_path / "whole")
    assert learned(before, latest(tmp_path / "whole")) == before.keys()
    assert learned(latest(tmp_path / "whole"), latest(saved)) == set(), "a kill changed the result"


def test_only_the_last_blocks_learn(cohort: Cohort, tmp_path: Path) -> None:
    tuned(cohort, changed(last_blocks=1), tmp_path / "saved")
    before = {f"encoder.{name}": tensor for name, tensor in encoder().state_dict().items()}
    assert learned(before, latest(tmp_path / "saved")) == {"encoder.layers.3.weight", "encoder.layers.3.bias"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"last_blocks": 13}, "this encoder has 12 blocks, of which 13 cannot learn"),
        ({"frozen": True, "last_blocks": 1}, "leave out frozen_epochs and last_blocks"),
        ({"frozen": True, "frozen_epochs": 1}, "leave out frozen_epochs and last_blocks"),
        ({"frozen_epochs": 3}, "frozen_epochs must be fewer than epochs"),
    ],
)
def test_what_cannot_be_frozen_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        changed(**fields)
