"""Resampling to 500 Hz keeps what is in an ECG, at any rate that a device may record at."""

from __future__ import annotations

import numpy as np
import pytest

from stence.ecg import resample

RATES = [100.0, 240.5, 250.0, 257.0, 360.0, 400.0, 997.0, 1000.0, 2000.0]
END = 50
"""Samples (0.1 s) at either end, where what came before or would come after is not known."""


def sines(frequency: float, rate: float, samples: int) -> np.ndarray:
    """Twelve leads of 1 mV that differ in phase."""
    phases = np.linspace(0, 2 * np.pi, 12, endpoint=False)[:, None]
    return np.sin(2 * np.pi * frequency * np.arange(samples) / rate + phases).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("frequency", [0.5, 5.0, 17.0, 30.0])
def test_sines_keep_frequency_amplitude_and_phase(rate: float, frequency: float) -> None:
    result = resample(sines(frequency, rate, int(10 * rate)), rate)
    assert result.dtype == np.float32
    expected = sines(frequency, 500, result.shape[1])
    np.testing.assert_allclose(result[:, END:-END], expected[:, END:-END], rtol=0, atol=1e-3)


@pytest.mark.parametrize("rate", RATES)
def test_ten_seconds_stay_ten_seconds(rate: float) -> None:
    samples = round(10 * rate)
    assert resample(np.zeros((12, samples), np.float32), rate).shape == (12, 5000)


def test_halving_the_rate_of_a_band_limited_signal_takes_every_other_sample() -> None:
    signal = sum(sines(frequency, 1000, 10_000) for frequency in (1.0, 8.0, 60.0, 150.0))
    np.testing.assert_allclose(
        resample(signal, 1000)[:, END:-END], signal[:, ::2][:, END:-END], rtol=0, atol=2e-3
    )


def test_what_500_hz_cannot_hold_is_filtered_out() -> None:
    assert np.abs(resample(sines(400, 1000, 10_000), 1000)[:, END:-END]).max() < 1e-3


@pytest.mark.parametrize("rate", RATES)
def test_offset_and_drift_do_not_ring_at_the_ends(rate: float) -> None:
    seconds = np.arange(int(10 * rate)) / rate
    signal = np.tile(3.0 - 0.2 * seconds, (12, 1)).astype(np.float32)
    result = resample(signal, rate)
    np.testing.assert_allclose(result[0], 3.0 - 0.2 * np.arange(result.shape[1]) / 500, rtol=0, atol=1e-3)


def test_500_hz_pass_unchanged() -> None:
    signal = sines(10, 500, 5000)
    signal[2, 7] = np.nan
    np.testing.assert_array_equal(resample(signal, 500.0), signal)


def test_invalid_samples_count_as_zero() -> None:
    signal = sines(5, 250, 2500)
    signal[4, 1000:1010] = np.nan
    result = resample(signal, 250.0)
    np.testing.assert_array_equal(result, resample(np.nan_to_num(signal), 250.0))
    assert np.isfinite(result).all()
