"""Standard errors of AUROCs and of calibration hold for several ECGs a patient."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from stence.evaluation.bootstrap import resamples
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
