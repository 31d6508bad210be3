"""Probabilities do not contradict each other, mean what they say, and thresholds keep their promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit

from stence.domain.thresholds import DECIMALS
from stence.evaluation.calibrate import fit
from stence.models import Calibration, Sensitivity, Workload
from stence.models.coherence import answers, probabilities

LOGITS = arrays(np.float64, (5, 6), elements=st.floats(-60, 60))
SLOPES = st.tuples(*[st.floats(0, 5)] * 6)
INTERCEPTS = st.tuples(*[st.floats(-10, 10)] * 6)
PROBABILITIES = arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1))


@given(LOGITS, SLOPES, INTERCEPTS, st.sampled_from([np.float32, np.float64]), st.booleans())
def test_probabilities_never_contradict_each_other(logits, slopes, intercepts, precision, rounded) -> None:
    calibrated = Calibration(slopes, intercepts).apply(logits).astype(precision)
    values = probabilities(calibrated)
    assert values.dtype == precision
    if rounded:
        values = np.round(values, DECIMALS)
    assert ((values >= 0) & (values <= 1)).all()
    over_50, over_70, over_90, total, rca, lca = values.T
    assert (over_50 >= over_70).all()
    assert (over_70 >= over_90).all()
    assert (over_90 >= total).all()
    assert (over_70 >= np.maximum(rca, lca)).all()
    assert (rca + lca >= over_70 - 2e-6).all()


def simulated(logits: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Labels (n, 6) of patients whose questions have these true logits."""
    yes = random.uniform(size=logits.shape) < expit(logits)
    over_50 = yes[:, 0]
    over_70 = over_50 & yes[:, 1]
    over_90 = over_70 & yes[:, 2]
    rca = over_70 & yes[:, 4]
    lca = over_70 & (~yes[:, 4] | yes[:, 5])
    return np.stack([over_50, over_70, over_90, over_90 & yes[:, 3], rca, lca], axis=1).astype(np.float32)


@pytest.mark.slow
def test_calibration_recovers_a_known_distortion() -> None:
    random = np.random.default_rng(0)
    true = random.normal(0.5, 1.5, (60_000, 6))
    slopes, intercepts = np.array([2, 0.5, 1, 1.5, 0.7, 3]), np.array([-1, 0.5, 0, 2, -0.3, 1])
    found = fit((true - intercepts) / slopes, answers(simulated(true, random)), np.ones(len(true)))
    np.testing.assert_allclose(found.slopes, slopes, rtol=0.12)
    np.testing.assert_allclose(found.intercepts, intercepts, atol=0.15)


@pytest.mark.slow
def test_calibrated_probabilities_are_frequencies() -> None:
    random = np.random.default_rng(1)
    true = random.normal(0.5, 1.5, (60_000, 6))
    labels, distorted = simulated(true, random), 3 * true + 2
    half = len(true) // 2
    calibration = fit(distorted[:half], answers(labels[:half]), np.ones(half))
    predicted = probabilities(calibration.apply(distorted[half:]))
    for column in range(6):
        order = np.argsort(predicted[:, column])
        for group in np.array_split(order, 10):
            observed = labels[half:][group, column].mean()
            assert predicted[group, column].mean() == pytest.approx(observed, abs=0.035)


def test_weights_count_as_repetitions() -> None:
    random = np.random.default_rng(2)
    logits = random.normal(0, 1, (500, 6))
    asked = answers(simulated(logits, random))
    weights = random.integers(1, 4, 500)
    weighted = fit(logits, asked, weights.astype(float))
    repeated = fit(logits.repeat(weights, 0), asked.repeat(weights, 0), np.ones(weights.sum()))
    np.testing.assert_allclose(weighted.slopes, repeated.slopes, atol=1e-3)
    np.testing.assert_allclose(weighted.intercepts, repeated.intercepts, atol=1e-3)


def test_a_model_that_is_worse_than_chance_is_not_turned_round() -> None:
    random = np.random.default_rng(3)
    logits = random.normal(0, 1, (2000, 6))
    found = fit(-logits, answers(simulated(logits, random)), np.ones(2000))
    assert 0 < min(found.slopes) <= max(found.slopes) < 0.2


def test_questions_that_nobody_was_asked_stay_as_they_are() -> None:
    asked = np.full((10, 6), np.nan, np.float32)
    asked[:, 0] = np.arange(10) % 2
    found = fit(np.zeros((10, 6)), asked, np.ones(10))
    assert found.slopes[1:] == (1.0,) * 5
    assert found.intercepts[1:] == (0.0,) * 5


def test_separated_classes_give_a_finite_line() -> None:
    logits = np.repeat(np.where(np.arange(40) < 20, -5.0, 5.0)[:, None], 6, axis=1)
    asked = (logits > 0).astype(np.float32)
    found = fit(logits, asked, np.ones(40))
    assert np.isfinite([found.slopes, found.intercepts]).all()
    assert max(found.slopes) < 3


def flagged(probability: np.ndarray, threshold: float) -> np.ndarray:
    return np.round(probability, DECIMALS) >= threshold


@given(PROBABILITIES, st.floats(0, 1), st.data())
def test_a_stated_sensitivity_is_reached_and_no_higher_threshold_would(probability, share, data) -> None:
    answer = data.draw(
        arrays(np.float32, len(probability), elements=st.sampled_from([0.0, 1.0, float("nan")]))
    )
    threshold = Sensitivity(share).choose(probability, answer, "validation").value
    cases = probability[answer == 1]
    needed = share * len(cases) - 1e-9
    assert flagged(cases, threshold).sum() >= needed
    assert flagged(cases, threshold + 10.0**-DECIMALS).sum() < max(needed, 1)


@given(PROBABILITIES, st.floats(0, 1100))
def test_a_stated_workload_is_kept_and_no_lower_threshold_would(probability, alerts) -> None:
    threshold = Workload(alerts).choose(probability, np.zeros(len(probability)), "validation").value
    allowed = len(probability) * alerts / 1000 + 1e-9
    assert flagged(probability, threshold).sum() <= allowed
    if threshold > 0:
        assert flagged(probability, threshold - 1.5 * 10.0**-DECIMALS).sum() > allowed


def test_ties_at_the_threshold_are_all_flagged_or_none() -> None:
    probability = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    answer = np.ones(5, np.float32)
    assert Sensitivity(0.4).choose(probability, answer, "validation").value == 0.5
    assert Workload(400).choose(probability, answer, "validation").value == 0.500001


def test_weights_count_as_people_for_a_threshold() -> None:
    probability, answer = np.array([0.9, 0.5, 0.3, 0.1]), np.array([1, 0, 1, 1], np.float32)
    weight = np.array([1.0, 3.0, 1.0, 5.0])
    assert Workload(400).choose(probability, answer, "validation", weight).value == 0.300001
    assert Workload(390).choose(probability, answer, "validation", weight).value == 0.500001
    assert Sensitivity(0.25).choose(probability, answer, "validation", weight).value == 0.3


def test_rounding_errors_of_a_share_do_not_move_the_threshold() -> None:
    probability = np.linspace(0.01, 1, 100)
    assert 100 * 0.07 > 7
    assert Sensitivity(0.07).choose(probability, np.ones(100), "validation").value == 0.94


def test_the_rule_is_told_in_words() -> None:
    some = np.array([0.2, 0.7])
    assert Sensitivity(0.9).choose(some, np.ones(2), "400 patients").rule == (
        "sensitivity of at least 0.9, chosen on 400 patients"
    )
    assert Workload(50).choose(some, np.ones(2), "400 patients").rule == (
        "at most 50 alerts per 1,000 ECGs, chosen on 400 patients"
    )
