"""The loop of all stages: resumable at any epoch, reproducible, stopping where nothing gets better."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stence.errors import StenceError
from stence.fitting import checkpoint
from stence.fitting.loop import TrainingHistory, run
from stence.fitting.schedule import Schedule
from stence.progress import silent

SCHEDULE = Schedule(epochs=6, warmup_epochs=2, weight_decay=0.01, gradient_clip=1.0, seed=3)


class Line:
    """Fits a line through noise, with dropout, random batches and noise: all that resuming must bear."""

    name = "line"

    def __init__(self, judgements: list[float] | None = None, rows: int = 32) -> None:
        torch.manual_seed(0)
        self.module: nn.Module = nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 1)
        )
        self.x = torch.randn(rows, 4)
        self.judgements = judgements
        self.judged = 0
        self.seen: list[list[int]] = []

    def parameter_groups(self) -> list[dict[str, object]]:
        first, last = list(self.module[0].parameters()), list(self.module[-1].parameters())
        return [{"params": first, "rate": 0.01}, {"params": last, "rate": 0.1}]

    def batches(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        return np.array_split(rng.permutation(len(self.x)), 4)

    def draw(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        self.seen.append(rows.tolist())
        return self.x[rows] + torch.from_numpy(rng.normal(0, 0.01, (len(rows), 4))).float()

    def loss(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        noise = 0.01 * torch.randn(len(batch), 1, generator=generator)
        return (self.module(batch) - batch.sum(dim=1, keepdim=True) + noise).square().mean()

    def judge(self) -> float:
        self.judged += 1
        if self.judgements is not None:
            return self.judgements[self.judged - 1]
        with torch.no_grad():
            return -float((self.module(self.x) - self.x.sum(dim=1, keepdim=True)).square().mean())


class Killed(BaseException):
    """In the place of SIGKILL."""


def weights(stage: Line) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in stage.module.state_dict().items()}


def assert_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


@pytest.mark.parametrize("batches_before", [0, 3, 4, 9, 23])
def test_a_training_killed_in_any_epoch_ends_with_the_very_weights(
    tmp_path: Path, batches_before: int
) -> None:
    whole, killed, again = Line(), Line(), Line()
    history = run(whole, SCHEDULE, "cpu", tmp_path / "whole", silent)

    losses, loss = 0, killed.loss

    def until_killed(batch: Tensor, generator: torch.Generator) -> Tensor:
        nonlocal losses
        losses += 1
        if losses > batches_before:
            raise Killed
        return loss(batch, generator)

    killed.loss = until_killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        run(killed, SCHEDULE, "cpu", tmp_path / "killed", silent)
    told: list[str] = []
    resumed = run(again, SCHEDULE, "cpu", tmp_path / "killed", lambda *what: told.append(what[3]))

    assert resumed == history
    assert_equal(weights(whole), weights(again))
    epochs = batches_before // 4
    assert (f"resumed at epoch {epochs} (step {batches_before // 4 * 4})" in told) == (epochs > 0)


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    first, again = Line(), Line()
    history = run(first, SCHEDULE, "cpu", tmp_path / "c", silent)
    assert run(again, SCHEDULE, "cpu", tmp_path / "c", silent) == history
    assert again.seen == []
    assert_equal(weights(first), weights(again))


def test_the_best_epochs_weights_stay_and_it_stops_when_nothing_gets_better(tmp_path: Path) -> None:
    stage = Line([0.5, 0.7, 0.6, 0.7, 0.65])
    history = run(stage, replace(SCHEDULE, patience=2), "cpu", tmp_path / "c", silent)
    assert (history.epochs, history.best_epoch, history.best_validation_auroc) == (4, 2, 0.7)
    assert not stage.module.training
    saved, _ = checkpoint.read(tmp_path / "c") or ({}, {})
    assert_equal(weights(stage), saved["best"])
    assert not torch.equal(saved["best"]["0.weight"], saved["model"]["0.weight"])


def test_a_best_epoch_before_a_kill_stays_the_best(tmp_path: Path) -> None:
    before, after = Line([0.9, 0.1, 0.1]), Line([0.2, 0.3, 0.3])
    run(before, replace(SCHEDULE, epochs=3), "cpu", tmp_path / "c", silent)
    history = run(after, SCHEDULE, "cpu", tmp_path / "c", silent)
    assert (history.epochs, history.best_epoch) == (6, 1)
    assert_equal(weights(before), weights(after))


def test_it_is_judged_as_often_as_asked_and_at_the_end(tmp_path: Path) -> None:
    history = run(Line([0.5, 0.6]), replace(SCHEDULE, judge_every=4), "cpu", tmp_path / "c", silent)
    assert (history.judged_epochs, history.validation_aurocs, history.best_epoch) == ([4, 6], [0.5, 0.6], 6)


def test_another_seed_gives_other_batches_and_every_epoch_its_own(tmp_path: Path) -> None:
    one, other = Line(), Line()
    run(one, SCHEDULE, "cpu", tmp_path / "one", silent)
    run(other, replace(SCHEDULE, seed=4), "cpu", tmp_path / "other", silent)
    assert one.seen != other.seen
    epochs = [[row for batch in one.seen[first : first + 4] for row in batch] for first in range(0, 24, 4)]
    assert all(sorted(epoch) == list(range(32)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 6


class Mean(Line):
    """Without anything random, and equal batches."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Linear(4, 1)

    def parameter_groups(self) -> list[dict[str, object]]:
        return [{"params": list(self.module.parameters()), "rate": 0.1}]

    def draw(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        return self.x[rows]

    def loss(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        return self.module(batch).square().mean()


def test_accumulated_batches_step_like_one_large_batch(tmp_path: Path) -> None:
    torch.manual_seed(1)
    small, large = Mean(), Mean()
    large.module.load_state_dict(small.module.state_dict())
    large.batches = lambda rng: [np.arange(32)]  # type: ignore[method-assign]
    accumulating = run(small, replace(SCHEDULE, accumulation=4), "cpu", tmp_path / "small", silent)
    plain = run(large, SCHEDULE, "cpu", tmp_path / "large", silent)
    assert accumulating.steps == plain.steps == 6
    torch.testing.assert_close(weights(small), weights(large))


def test_a_loss_that_is_no_number_ends_the_training_and_leaves_the_last_good_epoch(tmp_path: Path) -> None:
    stage = Line()
    run(stage, replace(SCHEDULE, epochs=1), "cpu", tmp_path / "c", silent)
    broken = Line()
    broken.x[:] = math.nan
    with pytest.raises(StenceError, match=r"line: the loss is no number any more in epoch 2; lower the"):
        run(broken, SCHEDULE, "cpu", tmp_path / "c", silent)
    again = Line()
    run(again, replace(SCHEDULE, epochs=1), "cpu", tmp_path / "c", silent)
    assert_equal(weights(stage), weights(again))


def test_what_cannot_be_judged_is_said(tmp_path: Path) -> None:
    with pytest.raises(StenceError, match="all with or all without stenosis"):
        run(Line([math.nan]), SCHEDULE, "cpu", tmp_path / "c", silent)


def test_a_course_survives_json(tmp_path: Path) -> None:
    history = run(Line(), SCHEDULE, "cpu", tmp_path / "c", silent)
    assert TrainingHistory(**json.loads(json.dumps(asdict(history)))) == history


def test_rates_rise_linearly_then_fall_to_the_last_one() -> None:
    schedule = replace(SCHEDULE, epochs=10, final_rate=1e-6)
    assert schedule.rate(1e-4, 1) == pytest.approx(0.5e-4)
    assert schedule.rate(1e-4, 2) == pytest.approx(1e-4)
    assert schedule.rate(1e-4, 6) == pytest.approx((1e-4 + 1e-6) / 2)
    assert schedule.rate(1e-4, 10) == pytest.approx(1e-6)
