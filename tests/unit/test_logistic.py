"""Logistic regression: the optimum of its loss, with weights, priors and offset, whatever the data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from stence.evaluation import logistic
from stence.evaluation.logistic import logistic_regression


def drawn(count: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariates, answers and sample weights."""
    rng = np.random.default_rng(0)
    x = np.hstack([np.ones((count, 1)), rng.normal(size=(count, 3))])
    y = (rng.random(count) < expit(x @ [-1.0, 0.8, -0.3, 0.0])).astype(float)
    return x, y, rng.uniform(0.2, 2.0, count)


def test_it_is_the_optimum_of_the_penalised_likelihood() -> None:
    x, y, weights = drawn()
    precision, offset = np.array([1e-6, 1.0, 4.0, 0.25]), np.linspace(-1, 1, len(y))

    def loss(coefficients: np.ndarray) -> float:
        z = x @ coefficients + offset
        return float(weights @ (np.logaddexp(0, z) - y * z) + 0.5 * precision @ coefficients**2)

    found = logistic_regression(x, y, weights, precision, offset).coefficients
    best = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-7}).x
    np.testing.assert_allclose(found, best, atol=1e-5)


def test_a_weight_is_a_number_of_copies() -> None:
    x, y, _ = drawn(60)
    times = np.arange(60) % 3
    ours = logistic_regression(x, y, times.astype(float), np.ones(4))
    theirs = logistic_regression(
        np.repeat(x, times, 0), np.repeat(y, times), np.ones(times.sum()), np.ones(4)
    )
    np.testing.assert_allclose(ours.coefficients, theirs.coefficients, atol=1e-9)
    np.testing.assert_allclose(ours.curvature, theirs.curvature, atol=1e-7)


def test_blocks_of_rows_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, weights = drawn()
    whole = logistic_regression(x, y, weights, np.ones(4))
    monkeypatch.setattr(logistic, "BLOCK", 7)
    np.testing.assert_allclose(
        logistic_regression(x, y, weights, np.ones(4)).coefficients, whole.coefficients
    )


@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_separated_answers_have_the_finite_optimum_that_a_weak_prior_gives(spread: float) -> None:
    x = np.stack([np.ones(40), spread * np.r_[np.linspace(-9, -1, 37), 1.0, 2.0, 3.0]], axis=1)
    y, precision = (x[:, 1] > 0).astype(float), np.array([1e-6, 1e-3])
    found = logistic_regression(x, y, np.ones(40), precision).coefficients
    slope = (y - expit(x @ found)) @ x - precision * found
    np.testing.assert_allclose(slope, 0, atol=1e-6)


def test_an_answer_that_all_give_has_the_finite_optimum_of_the_prior() -> None:
    found = logistic_regression(np.ones((50, 1)), np.ones(50), np.ones(50), np.array([1e-6])).coefficients
    assert 50 * (1 - expit(found[0])) == pytest.approx(1e-6 * found[0])


def test_probabilities_that_are_all_far_too_high_are_brought_down() -> None:
    """There the likelihood is nearly flat: a whole Newton step goes 1,500 past the optimum."""
    y = np.repeat([0.0, 1.0], 20)
    found = logistic_regression(np.ones((40, 1)), y, np.ones(40), np.zeros(1), offset=np.full(40, 8.0))
    assert found.coefficients.tolist() == pytest.approx([-8.0])
