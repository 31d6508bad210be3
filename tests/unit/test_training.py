"""Loss, augmentation and checkpoints of a training."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stence.cohort import Part
from stence.cohort.signals import RAW_SAMPLES
from stence.ecg import preprocess
from stence.ecg.augmentation import Augmentation
from stence.errors import StenceError
from stence.fitting import checkpoint
from stence.fitting.crops import even_crops, random_crops
from stence.fitting.losses import tree_loss

NAN = math.nan
NOTHING = Augmentation(roll_seconds=0, amplitude_probability=0, noise_probability=0, gap_probability=0)


def windows(count: int = 4) -> torch.Tensor:
    return torch.randn(count, 12, 1500, generator=torch.Generator().manual_seed(1))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- loss ---------------------------------------------------------------------------------------------------


def test_the_loss_is_the_trees_negative_log_likelihood() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5, 9.0, 9.0, 9.0]])
    answers = torch.tensor([[1.0, 1.0, 0.0, NAN, NAN, NAN]])
    p = torch.sigmoid(logits[0])
    wanted = -(p[0].log() + p[1].log() + (1 - p[2]).log())
    torch.testing.assert_close(tree_loss(logits, answers, torch.ones(1), smoothing=0), wanted)


def test_an_ecg_weighs_what_it_is_given_and_nothing_if_it_was_asked_nothing() -> None:
    logits = torch.zeros(3, 6)
    logits[0, 0] = 3
    answers = torch.full((3, 6), NAN)
    answers[0, 0], answers[1, 0] = 0, 0
    loss = tree_loss(logits, answers, torch.tensor([0.25, 0.75, 5.0]), smoothing=0)
    expected = 0.25 * math.log1p(math.exp(3)) + 0.75 * math.log(2)
    assert loss.item() == pytest.approx(expected)


def test_a_batch_that_was_asked_nothing_has_no_loss_and_no_gradient() -> None:
    logits = torch.zeros(2, 6, requires_grad=True)
    loss = tree_loss(logits, torch.full((2, 6), NAN), torch.ones(2), smoothing=0.1)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_smoothing_wants_less_than_certainty() -> None:
    logits = torch.full((1, 6), math.log(0.95 / 0.05), requires_grad=True)
    answers = torch.tensor([[1.0, NAN, NAN, NAN, NAN, NAN]])
    tree_loss(logits, answers, torch.ones(1), smoothing=0.1).backward()
    assert logits.grad is not None
    assert logits.grad[0, 0].item() == pytest.approx(0, abs=1e-6)


# --- windows ------------------------------------------------------------------------------------------------


def test_random_windows_begin_anywhere_in_what_was_recorded_and_never_beyond() -> None:
    """The second ECG ends in NaN after two samples more than a window has."""
    raw = np.random.default_rng(0).normal(size=(2, 12, RAW_SAMPLES)).astype(np.float32)
    raw[1, :, 1502:] = NAN
    part = Part(
        contents=("whole", "short"),
        patients=np.arange(2),
        studies=np.arange(2),
        labels=np.zeros((2, 6), np.float32),
        degrees=np.zeros((2, 16), np.float32),
        sex=np.full(2, ""),
        age=np.full(2, np.nan),
        samples=np.array([RAW_SAMPLES, 1502]),
        rows=np.arange(2),
        signals=raw,
    )
    rng = np.random.default_rng(1)
    drawn = random_crops(part, np.array([1] * 60), rng)
    possible = preprocess(np.stack([raw[1, :, start : start + 1500] for start in range(3)]))
    nearest = np.abs(drawn[:, None] - possible).max(axis=(2, 3))
    assert set(nearest.argmin(axis=1)) == {0, 1, 2}
    assert nearest.min(axis=1).max() < 1e-4
    np.testing.assert_allclose(even_crops(part, np.array([1]), 2)[0], possible[::2], atol=1e-4)


# --- augmentation -------------------------------------------------------------------------------------------


def test_without_any_chance_of_change_nothing_changes() -> None:
    torch.testing.assert_close(NOTHING.apply(windows(), seeded()), windows())


def test_rolling_keeps_the_leads_together() -> None:
    rolled = NOTHING.model_copy(update={"roll_seconds": 1.0}).apply(windows(), seeded())
    for before, after in zip(windows(), rolled, strict=True):
        shifts = [s for s in range(-500, 501) if torch.equal(before.roll(s, dims=-1), after)]
        assert len(shifts) == 1


def test_one_factor_within_its_range_scales_all_leads_of_a_window() -> None:
    changed = NOTHING.model_copy(update={"amplitude_probability": 1.0}).apply(windows(), seeded())
    factors = changed / windows()
    assert (factors.amax((1, 2)) - factors.amin((1, 2))).max() < 1e-4
    assert factors.min() >= 0.6
    assert factors.max() <= 1.3


def test_noise_has_the_standard_deviation_asked_for() -> None:
    changed = NOTHING.model_copy(update={"noise_probability": 1.0}).apply(windows(), seeded())
    assert (changed - windows()).std().item() == pytest.approx(0.03, rel=0.02)


def test_gaps_are_zero_in_all_leads_and_no_longer_than_asked_for() -> None:
    changed = NOTHING.model_copy(update={"gap_probability": 1.0}).apply(windows(), seeded())
    zero = changed == 0
    assert torch.equal(zero.any(dim=1), zero.all(dim=1))
    lengths = zero.all(dim=1).sum(dim=1)
    assert ((lengths >= 150) & (lengths <= 5 * 150)).all()
    assert torch.equal(changed[~zero], windows()[~zero])


def test_gaps_are_as_long_in_windows_of_another_rate() -> None:
    gap = NOTHING.model_copy(update={"gap_probability": 1.0, "gaps": 1})
    changed = gap.apply(torch.ones(4, 12, 1000), seeded(), 100)
    assert ((changed == 0).all(dim=1).sum(dim=1) == 30).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(1, 3), st.integers(1, 1500))
def test_any_window_comes_out_finite_and_the_same_for_the_same_seed(
    seed: int, count: int, samples: int
) -> None:
    given_windows = torch.ones(count, 12, samples)
    first, second = (Augmentation().apply(given_windows, seeded(seed)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == given_windows.shape
    assert first.isfinite().all()


# --- checkpoint ---------------------------------------------------------------------------------------------


def test_an_optimizer_goes_on_from_a_checkpoint_as_if_it_never_stopped(tmp_path: Path) -> None:
    def step(model: torch.nn.Linear, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        model(torch.arange(3.0)).square().sum().backward()
        optimizer.step()

    def fresh() -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 2)
        return model, torch.optim.AdamW(model.parameters(), lr=0.1)

    model, optimizer = fresh()
    step(model, optimizer)
    groups = {"model": model.state_dict(), "optimizer": checkpoint.optimizer_tensors(optimizer)}
    checkpoint.write(tmp_path / "c.safetensors", groups, {"epochs": 1})
    step(model, optimizer)

    found = checkpoint.read(tmp_path / "c.safetensors")
    assert found is not None
    groups_read, state = found
    other, its_optimizer = fresh()
    other.load_state_dict(groups_read["model"])
    checkpoint.restore_optimizer(its_optimizer, groups_read["optimizer"])
    step(other, its_optimizer)
    assert state == {"epochs": 1}
    assert torch.equal(model.weight, other.weight)


def test_a_pickle_in_place_of_a_checkpoint_is_refused_unopened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[type[Path.touch], tuple[Path]]:  # type: ignore[valid-type]
            return Path.touch, (tmp_path / "sprung",)

    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(StenceError, match="is not a training checkpoint"):
        checkpoint.read(path)
    assert not (tmp_path / "sprung").exists()


def test_there_may_be_no_checkpoint(tmp_path: Path) -> None:
    assert checkpoint.read(tmp_path / "none.safetensors") is None
