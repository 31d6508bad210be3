"""What is watched of every ECG: figures that follow gain, lead and noise, whatever the recording is like."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stence.ecg import LEADS, Recording, read
from stence.ecg.profile import Profile, profile
from stence.objects import LocalStore
from stence.progress import silent
from stence.settings import Settings
from stence.simulation import HospitalConfig, simulate
from support.delineation import measure
from support.ecgs import heartbeats

RATES = (100.0, 128.0, 250.0, 257.0, 360.0, 500.0, 1000.0, 2000.0)


def profile_of(signal: NDArray[np.floating], rate: float = 500.0) -> Profile:
    return profile(Recording(signal.astype(np.float32), rate))


@pytest.fixture
def signal() -> NDArray[np.float32]:
    """Ten seconds (12, 5000) in millivolts."""
    return (heartbeats(3) / 1000).astype(np.float32)


def arrays(found: Profile) -> NDArray[np.float64]:
    return np.stack([found.r_mv, found.s_mv, found.noise_uv])


def test_a_doubled_gain_doubles_amplitudes_and_noise_and_no_heart_rate(signal: NDArray[np.float32]) -> None:
    before, after = profile_of(signal), profile_of(2 * signal)
    np.testing.assert_allclose(arrays(after), 2 * arrays(before), rtol=1e-5)
    assert after.heart_rate == before.heart_rate


def test_a_gain_doubled_in_one_lead_shows_in_that_lead(signal: NDArray[np.float32]) -> None:
    before = arrays(profile_of(signal))
    signal[6] *= 2
    np.testing.assert_allclose(arrays(profile_of(signal))[:, 6], 2 * before[:, 6], rtol=0.03)


def test_swapped_leads_swap_their_figures(signal: NDArray[np.float32]) -> None:
    v1, v2 = LEADS.index("V1"), LEADS.index("V2")
    order = np.arange(12)
    order[[v1, v2]] = v2, v1
    before, after = profile_of(signal), profile_of(signal[order])
    assert not np.isclose(before.r_mv[v1], before.r_mv[v2], rtol=0.05)
    np.testing.assert_allclose(arrays(after), arrays(before)[:, order], rtol=1e-5)


@pytest.mark.parametrize("rate", RATES)
def test_rate_and_amplitudes_are_the_same_at_any_sampling_rate(rate: float) -> None:
    time, expected = np.arange(5000) / 500, profile_of(heartbeats(3) / 1000)
    signal = np.stack([np.interp(np.arange(round(10 * rate)) / rate, time, lead) for lead in heartbeats(3)])
    found = profile_of(signal / 1000, rate)
    assert found.heart_rate == pytest.approx(expected.heart_rate, abs=0.5)
    np.testing.assert_allclose(found.r_mv, expected.r_mv, atol=0.06)


def test_offset_wander_and_hum_move_neither_heart_rate_nor_amplitudes(signal: NDArray[np.float32]) -> None:
    time = np.arange(5000) / 500
    expected = profile_of(signal)
    slow = 3 + 0.5 * np.sin(2 * np.pi * 0.25 * time)
    hum = 0.05 * np.sin(2 * np.pi * 50 * time)
    found = profile_of(signal + slow + hum)
    assert found.heart_rate == pytest.approx(expected.heart_rate, abs=0.5)
    np.testing.assert_allclose(found.r_mv, expected.r_mv, atol=0.12)
    np.testing.assert_allclose(found.noise_uv, 1000 * hum.std(), rtol=0.25)
    np.testing.assert_allclose(profile_of(signal + slow).noise_uv, expected.noise_uv, rtol=0.05)


def test_noise_is_what_lies_above_40_hz() -> None:
    noise = np.random.default_rng(1).normal(0, 0.02, (12, 5000))
    found = profile_of(noise)
    np.testing.assert_allclose(found.noise_uv, 20 * np.sqrt(1 - 40 / 250), rtol=0.12)


def test_without_beats_there_is_no_heart_rate_and_each_second_has_its_extremes() -> None:
    random = np.random.default_rng(1)
    found = profile_of(random.uniform(-0.1, 0.1, (12, 5000)))
    assert found.heart_rate is None
    np.testing.assert_allclose(found.r_mv, 0.1, atol=0.01)
    np.testing.assert_allclose(found.s_mv, 0.1, atol=0.01)


@pytest.mark.parametrize(
    "signal",
    [
        np.zeros((12, 5000)),
        np.full((12, 5000), np.nan),
        np.full((12, 100), 0.3),
        np.full((12, 1500), np.inf),
        np.eye(12, 5000),
    ],
    ids=["flat", "invalid", "a second", "infinite", "one spike"],
)
@pytest.mark.parametrize("rate", [100.0, 360.0, 32000.0])
def test_anything_can_be_measured(signal: NDArray[np.float64], rate: float) -> None:
    found = profile_of(signal, rate)
    assert found.heart_rate is None
    assert np.isfinite(arrays(found)).all()


def test_invalid_samples_change_little(signal: NDArray[np.float32]) -> None:
    expected = profile_of(signal)
    signal[:, 2000:2150] = np.nan
    found = profile_of(signal)
    assert found.heart_rate == pytest.approx(expected.heart_rate, abs=1)
    np.testing.assert_allclose(arrays(found), arrays(expected), rtol=0.1, atol=0.02)


@pytest.mark.slow
def test_figures_are_those_of_the_practice_hospital(tmp_path: Path) -> None:
    simulate(LocalStore(tmp_path), Settings(), HospitalConfig(60), silent)
    with (tmp_path / "simulation/faults.csv").open() as table:
        faulty = {row["key"] for row in csv.DictReader(table)}
    with (tmp_path / "simulation/ecgs.csv").open() as table:
        sound = [row for row in csv.DictReader(table) if row["key"] not in faulty]
    found = [profile(read(tmp_path / row["key"])) for row in sound]
    sinus = [n for n, row in enumerate(sound) if row["fibrillation"] == "0"]
    off = [abs(found[n].heart_rate - float(sound[n]["heart_rate"])) for n in sinus]  # type: ignore[operator]
    assert np.median(off) < 1
    assert max(off) < 6
    amplitudes = np.array([one.r_mv - one.s_mv for one in found])
    whole = [
        measure(recording.signal, recording.sampling_rate)
        for recording in map(read, [tmp_path / row["key"] for row in sound])
    ]
    reference = np.array([slow.r - slow.s for slow in whole if slow is not None])
    assert np.corrcoef(amplitudes.ravel(), reference.ravel())[0, 1] > 0.99


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "agree"), [("ludb", 0.98), ("cinc2021", 0.97)])
def test_heart_rates_of_real_ecgs_are_those_of_a_slower_delineation(
    shared: Path, folder: str, agree: float
) -> None:
    off = []
    for header in sorted((shared / "data" / folder).glob("*.hea")):
        recording = read(header)
        slow, quick = measure(recording.signal, recording.sampling_rate), profile(recording)
        if slow is not None:
            off.append(abs(slow.heart_rate - (quick.heart_rate or 0)))
    assert len(off) >= 38
    assert np.mean(np.array(off) < 5) >= agree
    assert np.median(off) < 0.5


def beats_at(*seconds: float) -> NDArray[np.float64]:
    """Four seconds with an R wave of 1 mV and an S wave of 0.5 mV at each time."""
    time = np.arange(2000) / 500
    waves = [
        np.exp(-0.5 * ((time - at) / 0.012) ** 2) - 0.5 * np.exp(-0.5 * ((time - at - 0.05) / 0.01) ** 2)
        for at in seconds
    ]
    return sum(waves) + np.random.default_rng(1).normal(0, 0.002, (12, 2000))


def test_three_beats_tell_a_heart_rate_and_two_do_not() -> None:
    assert profile_of(beats_at(1, 2)).heart_rate is None
    found = profile_of(beats_at(1, 2, 3))
    assert found.heart_rate == pytest.approx(60, abs=0.5)
    np.testing.assert_allclose(found.r_mv, 1.0, atol=0.02)
    np.testing.assert_allclose(found.s_mv, 0.5, atol=0.02)


def test_clicks_in_one_lead_are_no_beats() -> None:
    """As sharp as QRS complexes, and in the middle between two; the lead has nothing else."""
    signal = beats_at(0.5, 1.5, 2.5, 3.5)
    signal[6] = beats_at(1, 2, 3)[6]
    assert profile_of(signal).heart_rate == pytest.approx(60, abs=0.5)


@pytest.mark.parametrize("times", [0.6, 2.0, 2.4])
def test_a_heart_that_beats_so_many_times_as_fast_is_measured(
    signal: NDArray[np.float32], times: float
) -> None:
    expected = times * profile_of(signal).heart_rate  # type: ignore[operator]
    assert profile_of(signal, 500 * times).heart_rate == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize(
    ("case", "rate"),
    [("one-bad-lead-rate/2705121", 82), ("one-bad-lead-rate/2729748", 97), ("flutter-rate/103", 93)],
)
def test_neither_one_artefact_lead_nor_flutter_spoils_the_rate(shared: Path, case: str, rate: float) -> None:
    assert profile(read(shared / f"findings/ecg/{case}.hea")).heart_rate == pytest.approx(rate, abs=2)
