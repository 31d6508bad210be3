"""Each encoder's input as StenCE makes it, and as the encoder's own authors do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stence import encoders
from stence.ecg.preprocessing import PREPROCESSING_VERSION, preprocess
from stence.encoders.recipes import PUBLISHED, STENCE, Recipe, recipe
from support.encoders import embed, small

TIMES = np.arange(6000) / 500


def ecg(*parts: tuple[float, float]) -> NDArray[np.float32]:
    """Twelve leads of sines, each (Hz, millivolts); lead k is k + 1 times as large as the first."""
    wave = sum(size * np.sin(2 * np.pi * frequency * TIMES) for frequency, size in parts)
    return (np.arange(1, 13)[:, None] * wave).astype(np.float32)


def size_of(frequency: float, signal: NDArray[np.float32], rate: int) -> float:
    """How much of a sine is in the middle of a lead."""
    middle = signal[0, rate:-rate].astype(float)
    times = np.arange(middle.size) / rate
    return 2 * abs(np.mean(middle * np.exp(-2j * np.pi * frequency * times)))


def test_stences_is_the_products_own() -> None:
    noisy = np.random.default_rng(0).standard_normal((12, 6000)).astype(np.float32)
    np.testing.assert_array_equal(STENCE.apply(noisy), preprocess(noisy[:, :1500]))
    assert STENCE.version == PREPROCESSING_VERSION


@pytest.mark.parametrize("encoder", sorted(encoders.ENCODERS))
def test_stences_is_the_same_for_all(encoder: str) -> None:
    assert recipe(encoder, "stence") is STENCE


@pytest.mark.parametrize(
    ("encoder", "samples"), [("echoing_ecg", 1000), ("ecgfounder", 5000), ("xecg", 1000), ("ptacl", 2500)]
)
def test_published_ones_have_the_length_that_the_weights_were_trained_with(
    encoder: str, samples: int
) -> None:
    prepared = recipe(encoder, "published").apply(ecg((5, 1), (0.9, 0.3)))
    assert prepared.shape == (12, samples)
    assert prepared.dtype == np.float32
    assert np.isfinite(prepared).all()


@pytest.mark.parametrize("encoder", sorted(PUBLISHED))
def test_an_encoder_reads_what_its_published_recipe_makes(encoder: str) -> None:
    own = PUBLISHED[encoder]
    prepared = torch.from_numpy(own.apply(ecg((5, 1))))[None]
    assert embed(small(encoder, window_samples=own.samples), prepared).shape[0] == 1


def test_xecg_sees_millivolts_at_100_hz_without_what_is_above_50() -> None:
    prepared = PUBLISHED["xecg"].apply(ecg((5, 1.5), (60, 1)))
    np.testing.assert_allclose(prepared, ecg((5, 1.5))[:, :5000:5], atol=1e-4)


def test_echoing_ecgs_leads_are_scaled_each_and_filtered_from_half_a_hertz_to_40() -> None:
    prepared = PUBLISHED["echoing_ecg"].apply(ecg((10, 1), (0.125, 1), (49, 1)) + 3)
    np.testing.assert_allclose(prepared.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(prepared.std(axis=1), 1, rtol=1e-5)
    assert size_of(0.125, prepared, 100) < 0.02 * size_of(10, prepared, 100)
    assert size_of(49, prepared, 100) < 0.1 * size_of(10, prepared, 100)


def test_ecgfounders_leads_are_scaled_together_without_wander_or_power_line() -> None:
    prepared = PUBLISHED["ecgfounder"].apply(ecg((10, 1), (0.25, 2), (50, 2)) - 1)
    assert abs(prepared.mean()) < 1e-6
    assert abs(prepared.std() - 1) < 1e-5
    first, last = prepared[0] - prepared[0].mean(), prepared[11] - prepared[11].mean()
    np.testing.assert_allclose(last, 12 * first, atol=1e-4)
    assert size_of(0.25, prepared, 500) < 0.01 * size_of(10, prepared, 500)
    assert size_of(50, prepared, 500) < 0.001 * size_of(10, prepared, 500)


def test_ecgfounders_median_takes_out_what_is_slower_than_four_tenths_of_a_second() -> None:
    only_median = replace(PUBLISHED["ecgfounder"], notch=False, band=None, normalisation="none")
    step = np.zeros((12, 5000), np.float32)
    step[:, 2500:] = 1
    step[:, 1000:1040] = 1  # 80 ms: a QRS complex
    prepared = only_median.apply(step)
    assert (prepared[:, 1000:1040] == 1).all()
    assert (prepared[:, 2500:] == 0).sum() >= 12 * 2399  # the last 0.2 s border on nothing


def test_ptacls_is_stences_over_five_seconds() -> None:
    noisy = np.random.default_rng(0).standard_normal((12, 6000)).astype(np.float32)
    np.testing.assert_array_equal(PUBLISHED["ptacl"].apply(noisy), preprocess(noisy[:, :2500]))


@pytest.mark.parametrize(
    "prepared_as", [STENCE, *PUBLISHED.values()], ids=lambda prepared_as: prepared_as.name
)
def test_invalid_samples_count_as_zero_and_nothing_is_written_to(prepared_as: Recipe) -> None:
    broken = ecg((5, 1))
    broken[3], broken[0, :100] = np.nan, np.nan
    before = broken.copy()
    prepared = prepared_as.apply(broken)
    np.testing.assert_array_equal(prepared, prepared_as.apply(np.nan_to_num(broken)))
    np.testing.assert_array_equal(broken, before)
    assert np.isfinite(prepared).all()


def test_versions_differ_wherever_recipes_do() -> None:
    versions = {prepared_as.version for prepared_as in (STENCE, *PUBLISHED.values())}
    assert versions == {
        "stence-500hz-3s-1",
        "echoing_ecg-100hz-10s-1",
        "ecgfounder-500hz-10s-1",
        "xecg-100hz-10s-1",
        "ptacl-500hz-5s-1",
    }


@pytest.mark.parametrize("shape", [(8, 5000), (12, 4999), (5000,)])
def test_what_no_recipe_can_use_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"ecgfounder takes \(12, 5000 or more\), got "):
        PUBLISHED["ecgfounder"].apply(np.zeros(shape, np.float32))


def test_a_recipe_that_nobody_published_is_not_made_up() -> None:
    with pytest.raises(ValueError, match="no input recipe is published for 'otis'; known: echoing_ecg, "):
        recipe("otis", "published")
