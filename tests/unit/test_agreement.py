"""Agreement of two models beyond age and sex."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from stence.evaluation.agreement import rank_agreement

UNKNOWN = np.full((300, 2), np.nan)
RNG = np.random.default_rng(9)
A, B = RNG.normal(size=(2, 300))
AGE, MALE = RNG.uniform(30, 90, 300), RNG.choice([-0.5, 0.5], 300)
CLINICAL = np.stack([AGE, MALE], axis=1)


def test_without_age_and_sex_it_is_spearmans() -> None:
    found = rank_agreement(A, A + B, UNKNOWN)
    assert found is not None
    assert found.value == pytest.approx(spearmanr(A, A + B).statistic)
    assert found.lower < found.value < found.upper
    same = rank_agreement(A, np.exp(A), UNKNOWN)
    assert same is not None
    assert same.value == pytest.approx(1)


def test_what_age_and_sex_say_is_no_agreement() -> None:
    by_age = 0.08 * AGE + 2 * MALE
    assert spearmanr(by_age + A, by_age + B).statistic > 0.6
    found = rank_agreement(by_age + A, by_age + B, CLINICAL)
    assert found is not None
    assert found.upper < 0.2
    own = rank_agreement(by_age + A, by_age + A + 0.3 * B, CLINICAL)
    assert own is not None
    assert own.lower > 0.8


def test_nothing_is_said_where_one_side_does_not_vary_or_there_are_too_few() -> None:
    assert rank_agreement(A, np.ones(300), UNKNOWN) is None
    assert rank_agreement(A, MALE, CLINICAL) is None
    assert rank_agreement(A[:7], B[:7], CLINICAL[:7]) is None


def test_the_interval_holds_the_truth() -> None:
    """Of independent rests, in about 95 % of samples."""
    drawn = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        a, b = drawn.normal(size=(2, 60))
        found = rank_agreement(AGE[:60] / 10 + a, AGE[:60] / 10 + b, CLINICAL[:60])
        assert found is not None
        held += found.lower <= 0 <= found.upper
    assert 0.92 < held / 400 < 0.98
