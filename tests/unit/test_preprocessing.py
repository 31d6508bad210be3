"""What a model sees is what StenCE's preprocessing makes of an ECG."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from stence.ecg import preprocess
from stence.ecg.baseline import subtract_baseline
from stence.ecg.compiled import compiled
from support.ecgs import heartbeats
from support.solvers import sparse_baseline, sparse_preprocess


def ecg(seed: int, seconds: float = 3.0, rate: float = 500) -> np.ndarray:
    """A plausible ECG in millivolts with an offset and a slow wander in each lead."""
    signal = heartbeats(seed, seconds, rate) / np.float32(1000)
    time = np.linspace(0, seconds, signal.shape[1])
    wander = np.random.default_rng(seed).normal(0, 0.3, (12, 1)) * (1 + np.sin(0.5 * time))
    return (signal + wander).astype(np.float32)


def test_equals_the_published_code_on_real_ecgs(shared: Path) -> None:
    golden = np.load(shared / "golden/preprocess.npz")
    for name in [key.removesuffix("/input") for key in golden if key.endswith("/input")]:
        expected = golden[f"{name}/output"]
        result = preprocess(golden[f"{name}/input"])
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5 * np.abs(expected).max(), err_msg=name)


@pytest.mark.parametrize("samples", [3, 4, 5, 64, 499, 1500])
def test_equals_a_general_solver_at_any_length(samples: int) -> None:
    signal = ecg(1, 4)[:, :samples]
    expected = sparse_preprocess(signal)
    np.testing.assert_allclose(preprocess(signal), expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("rows", [1, 31, 32, 33])
def test_baselines_do_not_depend_on_how_many_are_solved_together(rows: int) -> None:
    signals = np.concatenate([ecg(1), ecg(2), ecg(3)])[:rows]
    result = signals.copy()
    subtract_baseline(result)
    expected = signals[-1] - sparse_baseline(signals[-1].astype(np.float64))
    np.testing.assert_allclose(result[-1], expected, rtol=0, atol=1e-5)


def test_each_of_many_ecgs_is_preprocessed_by_itself() -> None:
    ecgs = np.stack([ecg(seed) for seed in range(6)]).reshape(2, 3, 12, -1)
    together = preprocess(ecgs)
    assert together.shape == ecgs.shape
    for place in np.ndindex(2, 3):
        np.testing.assert_array_equal(together[place], preprocess(ecgs[place]))


def test_many_threads_get_what_one_gets() -> None:
    ecgs = [ecg(seed) for seed in range(24)]
    with ThreadPoolExecutor(8) as threads:
        for together, alone in zip(threads.map(preprocess, ecgs), map(preprocess, ecgs), strict=True):
            np.testing.assert_array_equal(together, alone)


def test_groups_of_leads_come_out_standardised() -> None:
    result = preprocess(ecg(1))
    for group in (result[:3], result[3:6], result[6:]):
        assert group.mean() == pytest.approx(0, abs=1e-5)
        assert group.std() == pytest.approx(1, abs=1e-5)


def test_invalid_samples_count_as_zero_and_the_input_stays_as_it_was() -> None:
    signal = ecg(1)
    signal[3, 100:200] = np.nan
    before = signal.copy()
    np.testing.assert_array_equal(preprocess(signal), preprocess(np.nan_to_num(signal)))
    np.testing.assert_array_equal(signal, before)


def test_an_ecg_without_any_signal_stays_finite() -> None:
    assert np.abs(preprocess(np.full((12, 1500), np.nan, np.float32))).max() == 0
    assert np.isfinite(preprocess(np.full((12, 1500), 0.7, np.float32))).all()


@pytest.mark.parametrize("shape", [(11, 1500), (1500, 12), (12, 0), (12,)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected ECGs \(\.\.\., 12, samples\), got"):
        preprocess(np.zeros(shape, np.float32))


def test_reading_ecgs_does_not_wait_for_torch() -> None:
    code = "import sys, stence.ecg; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_compiles_where_nothing_can_be_cached() -> None:
    code_without_a_file: dict[str, object] = {}
    exec("def add_one(x): return x + 1", code_without_a_file)  # noqa: S102
    assert compiled(code_without_a_file["add_one"])(1) == 2
