"""Each encoder's input as StenCE makes it, and as the encoder's own authors do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stence import encoders
from stence.ecg import PREPROCESSING_VERSION, Reason, Recording, UnusableEcgError, preprocess, resample
from stence.ecg.recipes import PUBLISHED, STENCE, Kind, Recipe, recipe
from stence.encoders import encoder_for
from support.encoders import SMALL, embed, small

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


@pytest.mark.parametrize(("milliseconds", "kept"), [(180, True), (220, False)])
def test_ecgfounders_median_keeps_a_wave_of_less_than_half_its_length(milliseconds: int, kept: bool) -> None:
    only_median = replace(PUBLISHED["ecgfounder"], notch=False, band=None, normalisation="none")
    wave = np.zeros((12, 5000), np.float32)
    wave[:, 2000 : 2000 + milliseconds // 2] = 1
    middle = 2000 + milliseconds // 4
    assert (only_median.apply(wave)[:, middle] == (1 if kept else 0)).all()


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


# --- windows of a recording ---------------------------------------------------------------------------------


def noise(seconds: float, rate: float = 500) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((12, round(seconds * rate))).astype(np.float32)


@pytest.mark.parametrize(
    ("prepared_as", "starts"), [(STENCE, (0, 1750, 3500)), (PUBLISHED["ptacl"], (0, 1250, 2500))]
)
def test_windows_spread_evenly_over_the_recording(prepared_as: Recipe, starts: tuple[int, ...]) -> None:
    signal = noise(10)
    windows = prepared_as.prepare(Recording(signal, 500.0), windows=3)
    assert windows.dtype == np.float32
    for window, start in zip(windows, starts, strict=True):
        np.testing.assert_array_equal(window, preprocess(signal[:, start : start + prepared_as.needed]))


@pytest.mark.parametrize(
    "prepared_as", [STENCE, *PUBLISHED.values()], ids=lambda prepared_as: prepared_as.name
)
def test_one_window_is_the_first_seconds(prepared_as: Recipe) -> None:
    signal = noise(12)
    window, *others = prepared_as.prepare(Recording(signal, 500.0), windows=1)
    np.testing.assert_array_equal(window, prepared_as.apply(signal))
    assert not others


@pytest.mark.parametrize(
    "prepared_as", [STENCE, *PUBLISHED.values()], ids=lambda prepared_as: prepared_as.name
)
def test_windows_come_out_the_same_together_and_by_themselves(prepared_as: Recipe) -> None:
    several = np.stack([ecg((5, 1)), ecg((7, 2)), ecg((3, 0.5))])
    alone = np.stack([prepared_as.apply(one) for one in several])
    np.testing.assert_allclose(prepared_as.apply(several), alone, rtol=0, atol=1e-6)


def test_an_ecg_of_ten_seconds_has_one_window_of_ten() -> None:
    assert [prepared_as.windows(3) for prepared_as in (STENCE, PUBLISHED["ptacl"])] == [3, 3]
    assert [PUBLISHED[name].windows(3) for name in ("ecgfounder", "xecg", "echoing_ecg")] == [1, 1, 1]


@pytest.mark.parametrize("rate", [100.0, 240.5, 360.0, 1000.0])
def test_other_rates_are_resampled_before_windows_are_cut(rate: float) -> None:
    recording = Recording(noise(10, rate), rate)
    recording.signal[5, :50] = np.nan
    windows = STENCE.prepare(recording, windows=2)
    assert windows.shape == (2, 12, 1500)
    assert np.isfinite(windows).all()
    np.testing.assert_array_equal(windows[0], preprocess(resample(recording.signal, rate)[:, :1500]))


@pytest.mark.parametrize("rate", [100.0, 360.0, 500.0, 997.0, 1000.0])
@pytest.mark.parametrize("prepared_as", [STENCE, PUBLISHED["xecg"]], ids=lambda prepared_as: prepared_as.name)
def test_a_windows_length_is_just_enough(rate: float, prepared_as: Recipe) -> None:
    signal = noise(prepared_as.seconds, rate)
    assert prepared_as.prepare(Recording(signal, rate), 1).shape == (1, 12, prepared_as.samples)
    with pytest.raises(UnusableEcgError, match=f"windows are of {prepared_as.seconds} s") as refusal:
        prepared_as.prepare(Recording(signal[:, :-20], rate), 1)
    assert refusal.value.finding.reason is Reason.TOO_SHORT


# --- encoders for a recipe ----------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", sorted(PUBLISHED))
@pytest.mark.parametrize("kind", ["stence", "published"])
def test_an_encoder_is_as_long_as_its_recipe_unless_told_otherwise(encoder: str, kind: Kind) -> None:
    prepared_as = recipe(encoder, kind)
    others = {name: size for name, size in SMALL[encoder].items() if name != "window_samples"}
    assert encoder_for(prepared_as, encoder, others).window_samples == prepared_as.samples


def test_an_encoder_of_other_windows_than_its_recipes_is_refused_naming_both() -> None:
    told = "ecgfounder reads windows of 1500 samples, and the input recipe ecgfounder-500hz-10s-1 makes 5000"
    with pytest.raises(ValueError, match=told):
        encoder_for(PUBLISHED["ecgfounder"], "ecgfounder", {"window_samples": 1500})
