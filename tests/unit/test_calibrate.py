"""Calibration on few patients: right logits stay, wrong ones move, rare questions do not collapse."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from stence.evaluation import calibrate
from stence.models import Calibration
from stence.models.calibration import reweighted, severities
from stence.models.coherence import answers, probabilities

Reals = NDArray[np.float64]


def drawn(rng: np.random.Generator, patients: int) -> tuple[Reals, NDArray[np.float32]]:
    """Right logits of the tree (n, 6), and answers drawn from them."""
    logits = rng.normal([-0.2, 0.8, -0.2, -0.4, 0.2, -0.2], [1.0, 0.6, 0.4, 0.4, 0.5, 0.5], (patients, 6))
    yes = (rng.random(logits.shape) < expit(logits)).astype(np.float32)
    over_50 = yes[:, 0]
    over_70 = over_50 * yes[:, 1]
    over_90 = over_70 * yes[:, 2]
    rca = over_70 * yes[:, 4]
    lca = over_70 * (1 - yes[:, 4] * (1 - yes[:, 5]))
    return logits, answers(np.column_stack([over_50, over_70, over_90, over_90 * yes[:, 3], rca, lca]))


def added_error(shift: float, scale: float, patients: int, calibrated: bool = True) -> Reals:
    """Mean distance (6,) of the probabilities from the true ones, for logits that are off."""
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        logits, asked = drawn(rng, patients)
        fitted = calibrate.fit(logits * scale + shift, asked, np.ones(patients))
        others, _ = drawn(rng, 2000)
        line = fitted if calibrated else Calibration()
        found.append(
            np.abs(probabilities(line.apply(others * scale + shift)) - probabilities(others)).mean(0)
        )
    return np.mean(found, axis=0)


def test_right_logits_of_a_hundred_patients_stay_right() -> None:
    assert added_error(0, 1, 100).max() < 0.02


@pytest.mark.parametrize(("shift", "scale"), [(0.5, 1.0), (0.0, 2.0)])
def test_wrong_logits_are_moved(shift: float, scale: float) -> None:
    assert added_error(shift, scale, 400).max() < 0.5 * added_error(shift, scale, 400, calibrated=False).max()


def test_no_slope_collapses_where_answers_contradict_the_logits() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(30, 6))
    asked = (logits < rng.normal(size=logits.shape)).astype(np.float32)
    assert min(calibrate.fit(logits, asked, np.ones(30)).slopes) > 0.05


def test_a_question_with_nine_cases_gets_no_line_of_its_own() -> None:
    rng = np.random.default_rng(1)
    logits, asked = rng.normal(size=(60, 2)), np.zeros((60, 2), np.float32)
    asked[:, 0] = rng.random(60) < expit(logits[:, 0])
    asked[:9, 1] = 1
    assert calibrate.without_own_line(asked, np.ones(60)) == [1]
    assert abs(calibrate.fit(logits, asked, np.ones(60)).intercepts[1]) < 0.01


def test_a_question_without_answers_keeps_its_logits() -> None:
    logits, asked = drawn(np.random.default_rng(2), 200)
    asked[:, 3] = np.nan
    fitted = calibrate.fit(3 * logits + 1, asked, np.ones(200))
    assert (fitted.slopes[3], fitted.intercepts[3]) == (1, 0)


def test_ecgs_of_one_patient_count_as_one_patient() -> None:
    logits, asked = drawn(np.random.default_rng(3), 60)
    once = calibrate.fit(logits + 1, asked, np.ones(60))
    thrice = calibrate.fit(np.repeat(logits + 1, 3, 0), np.repeat(asked, 3, 0), np.full(180, 1 / 3))
    assert np.allclose(once.intercepts, thrice.intercepts, atol=1e-3)


def test_weights_multiply_the_severities_and_leave_the_arteries() -> None:
    logits, _ = drawn(np.random.default_rng(4), 50)
    weights = np.array([2.0, 1.5, 0.5, 0.4, 0.3])
    before, after = np.exp(severities(logits)), np.exp(severities(reweighted(logits, weights)))
    expected = before * weights
    assert np.allclose(after, expected / expected.sum(axis=1, keepdims=True))
    assert np.array_equal(reweighted(logits, weights)[:, 4:], logits[:, 4:])


def test_a_calibration_can_be_undone() -> None:
    logits, _ = drawn(np.random.default_rng(5), 50)
    line = Calibration((0.5,) * 6, (0.2,) * 6, (2.0, 1.0, 0.5, 0.4, 0.3))
    assert np.allclose(line.invert(line.apply(logits)), logits)
