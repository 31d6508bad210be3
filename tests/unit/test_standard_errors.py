"""Standard errors of AUROCs and of calibration hold for several ECGs a patient."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from stence.evaluation.bootstrap import resamples
from stence.evaluation.evaluate import measured
from stence.evaluation.metrics import BinaryPredictions, patient_shares, ranking
from stence.evaluation.paired import areas
from stence.evaluation.recalibration import level, slope


def clustered(seed: int, patients: int = 150) -> tuple[list[BinaryPredictions], NDArray[np.int64]]:
    """Two models on patients with one to five ECGs each, that resemble each other; labels are by study."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients), rng.integers(1, 6, patients))
    risk = rng.normal(size=patients)[owner]
    label = (rng.uniform(size=len(owner)) < expit(risk)).astype(np.float32)
    shares = patient_shares(owner)
    own = rng.normal(size=(2, patients))[:, owner]
    return [
        BinaryPredictions(expit(risk + 1.5 * noise + 0.3 * rng.normal(size=len(owner))), label, 0.5, shares)
        for noise in own
    ], owner


@pytest.mark.parametrize("seed", range(3))
def test_the_error_of_a_difference_is_that_of_the_bootstrap_over_patients(seed: int) -> None:
    models, owner = clustered(seed)
    found = areas(models, owner)
    drawn = np.stack(
        [np.concatenate([ranking(model, block)[0] for block in resamples(owner, 800)]) for model in models]
    )
    difference, error = found.contrast([1, -1])
    once = [float(ranking(model, np.ones((1, len(owner))))[0][0]) for model in models]
    assert difference == pytest.approx(once[0] - once[1])
    assert error == pytest.approx(np.std(drawn[0] - drawn[1]), rel=0.12)
    assert np.sqrt(found.covariance[0, 0]) == pytest.approx(np.std(drawn[0]), rel=0.12)


def test_the_errors_of_calibration_hold_for_several_ecgs_a_patient() -> None:
    """Of 300 samples of a calibrated model about 95 % have the truth in their interval."""
    held = np.zeros(2)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        owner = np.repeat(np.arange(120), 3)
        risk = rng.normal(size=120)
        label = (rng.uniform(size=120) < expit(risk)).astype(np.float32)[owner]
        case = BinaryPredictions(expit(risk[owner]), label, 0.5, patient_shares(owner))
        for i, (estimate, truth) in enumerate(((level(case, owner), 0.0), (slope(case, owner), 1.0))):
            low, high = estimate.interval()
            held[i] += low <= truth <= high
    assert (held / 300 > 0.91).all()
    assert (held / 300 < 0.985).all()


@pytest.mark.slow
def test_the_intervals_of_ten_cases_hold_the_truth() -> None:
    """Two or three ECGs a patient; cases lie one standard deviation higher, so that the true slope is 1."""
    truth = {"auroc": norm.cdf(1 / 2**0.5), "calibration_slope": 1.0}
    held = dict.fromkeys(truth, 0)
    for seed in range(600):
        rng = np.random.default_rng(seed)
        owner = np.repeat(np.arange(30), rng.integers(2, 4, 30))
        ill = owner < 10
        risk = expit((rng.normal(size=30)[owner] + ill) - 0.5 - np.log(2))
        found = measured(BinaryPredictions(risk, ill.astype(np.float32), 0.5), owner, 1)
        for name, value in truth.items():
            held[name] += found[name]["lower"] <= value <= found[name]["upper"]
    assert [name for name, count in held.items() if not 0.93 < count / 600 < 0.985] == []


def test_an_auroc_of_one_is_not_certain_and_equal_risks_have_no_slope() -> None:
    label = np.repeat([0, 1], [30, 10]).astype(np.float32)
    perfect = measured(BinaryPredictions(0.1 + 0.8 * label, label, 0.5), np.arange(40), 1)
    assert perfect["auroc"] == {"value": 1.0, "lower": 0.7225, "upper": 1.0}  # Wilson's of 10
    equal = measured(BinaryPredictions(np.full(40, 0.3), label, 0.5), np.arange(40), 1)
    assert equal["calibration_slope"]["value"] is None
    assert equal["calibration_intercept"]["lower"] < equal["calibration_intercept"]["upper"]
