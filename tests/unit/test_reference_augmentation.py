"""The augmentation of StenCE's fine-tuning: each change does what it is named for, and nothing else."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from stence.ecg.augmentation import Augmentation
from stence.ecg.reference_augmentation import ReferenceAugmentation
from stence.fitting.finetuning import TrainingConfig

NOTHING = ReferenceAugmentation(crop=1, phase_noise_probability=0, jitter=0, rescaling=0)
RATES = {"epochs": 1, "patience": 1, "encoder_rate": 1e-3, "head_rate": 1e-3}


def windows(count: int = 6, samples: int = 1500) -> torch.Tensor:
    return torch.randn(count, 12, samples, generator=torch.Generator().manual_seed(1))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def only(**strength: float) -> ReferenceAugmentation:
    return NOTHING.model_copy(update=strength)


def test_without_strength_nothing_changes() -> None:
    torch.testing.assert_close(NOTHING.apply(windows(), seeded()), windows())


def test_a_crop_is_a_part_of_the_window_stretched_to_its_length_in_all_leads_alike() -> None:
    ramp = torch.arange(1500.0).expand(200, 3, 1500)
    changed = only(crop=0.75).apply(ramp, seeded())
    first, last = changed[:, :, 0], changed[:, :, -1]
    shares = (last - first + 1) / 1500
    assert torch.equal(shares, shares[:, :1].expand_as(shares))
    assert 0.749 <= shares.min() < 0.78
    assert 0.97 < shares.max() <= 1
    assert first.min() >= 0
    assert last.max() <= 1499
    assert first[:, 0].unique().numel() > 60, "crops begin in few places"
    straight = first[..., None] + (last - first)[..., None] * torch.linspace(0, 1, 1500)
    torch.testing.assert_close(changed, straight, atol=1e-3, rtol=0)


@pytest.mark.parametrize("samples", [1500, 1001])
def test_a_fourier_surrogate_keeps_every_amplitude_and_the_phases_between_leads(samples: int) -> None:
    before = windows(samples=samples)
    after = only(phase_noise=0.075, phase_noise_probability=1.0).apply(before, seeded())
    spectra = [torch.fft.rfft(signal.double(), dim=2) for signal in (before, after)]
    torch.testing.assert_close(spectra[1].abs(), spectra[0].abs(), atol=2e-3, rtol=1e-3)
    turns = ((spectra[1] / spectra[0]).angle() / (2 * torch.pi))[:, :, 1 : (samples - 1) // 2]
    torch.testing.assert_close(turns, turns[:, :1].expand_as(turns), atol=5e-3, rtol=0)
    assert -5e-3 < turns.min() < 0.005
    assert 0.07 < turns.max() < 0.08


def test_half_of_the_windows_become_surrogates() -> None:
    before = windows(400, 50)
    after = only(phase_noise_probability=0.5).apply(before, seeded())
    changed = (after - before).abs().amax((1, 2)) > 1e-4
    assert 160 < changed.sum() < 240


def test_jitter_is_in_proportion_to_the_signal() -> None:
    before = windows()
    noise = only(jitter=0.2).apply(before, seeded()) / before - 1
    assert noise.std().item() == pytest.approx(0.2 * 0.6, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.002)


def test_one_factor_around_1_scales_all_leads_of_a_window() -> None:
    before = windows(2000, 4).abs() + 1
    factors = only(rescaling=0.5).apply(before, seeded()) / before
    torch.testing.assert_close(factors, factors[:, :1, :1].expand_as(factors), atol=1e-5, rtol=1e-5)
    assert factors[:, 0, 0].mean().item() == pytest.approx(1, abs=0.04)
    assert factors[:, 0, 0].std().item() == pytest.approx(0.5, rel=0.05)


def test_the_same_seed_changes_windows_the_same_way() -> None:
    first, again, other = (ReferenceAugmentation().apply(windows(), seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.isfinite().all()


def test_a_configuration_names_it_or_changes_its_strengths_and_survives_the_manifest() -> None:
    named = TrainingConfig.model_validate(RATES | {"augmentation": "reference"})
    assert named.augmentation == ReferenceAugmentation()
    changed = TrainingConfig.model_validate(RATES | {"augmentation": {"kind": "reference", "jitter": 0.1}})
    assert changed.augmentation == ReferenceAugmentation(jitter=0.1)
    for given in ({}, {"augmentation": "stence"}):
        assert TrainingConfig.model_validate(RATES | given).augmentation == Augmentation()
    stronger = TrainingConfig.model_validate(RATES | {"augmentation": {"noise": 0.5}})
    assert stronger.augmentation == Augmentation(noise=0.5)
    for config in (named, changed, stronger):
        assert TrainingConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("wrong", ["otis", {"kind": "reference", "noise": 1}, 3])
def test_what_is_no_augmentation_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError, match="augmentation"):
        TrainingConfig.model_validate(RATES | {"augmentation": wrong})
