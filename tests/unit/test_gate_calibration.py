"""The gate on calibration: whom it tells apart, and from how many patients."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from stence.evaluation.metrics import BinaryPredictions
from stence.evaluation.predictions import Predictions
from stence.training.gate import Result, judge
from stence.training.gate.calibrated import calibrated
from support.gate import (
    CASES,
    CHAMPION,
    CONFIG,
    LOWER,
    NOBODY,
    RISK,
    SEX,
    THRESHOLDS,
    UPPER,
    Reals,
    blurred,
    check,
    failed,
    first,
    number,
    predictions,
    verdict,
)


@pytest.mark.parametrize(
    ("logit", "name", "bound", "limits"),
    [
        (3 * blurred(1.0), "calibration slope", UPPER, lambda bound: {"slope_factors": (1 / bound, 9)}),
        (blurred(1.0) / 3, "calibration slope", LOWER, lambda bound: {"slope_factors": (bound, 9)}),
        (blurred(1.0) - 0.6, "calibration level", LOWER, lambda bound: {"odds_factors": (bound, 9)}),
        (blurred(1.0) + 0.6, "calibration level", UPPER, lambda bound: {"odds_factors": (1 / bound, 9)}),
    ],
    ids=["overconfident", "underconfident", "too low", "too high"],
)
def test_calibration_fails_where_its_interval_leaves_what_is_tolerated(
    logit: Reals, name: str, bound: str, limits: Any
) -> None:
    challenger = predictions(logit)
    found = number(check(verdict(challenger), name), bound)
    for moved, fails in ((0.995, False), (1.005, True)):
        outward = found * moved if bound is UPPER else found / moved
        assert (name in failed(verdict(challenger, **limits(outward)))) == fails


def test_a_calibrated_challenger_passes_with_few_patients() -> None:
    true = first(predictions(RISK), 100)
    found = verdict(true, true)
    assert check(found, "calibration level").result is Result.PASSED
    assert check(found, "calibration slope").result is Result.PASSED


def test_the_gate_says_how_likely_it_finds_odds_too_high() -> None:
    few, many = (verdict(first(predictions(RISK), count), None) for count in (100, 800))
    powers = [
        int(re.search(r"too high are found with (\d+)%", check(each, "calibration level").finding)[1])  # type: ignore[index]
        for each in (few, many)
    ]
    assert powers[0] < 60
    assert powers[1] > 95


def test_calibration_cannot_be_told_from_a_handful_of_patients() -> None:
    """Odds too high and odds too low are both within the interval."""
    rows = np.concatenate([np.flatnonzero(CASES)[:8], np.flatnonzero(~CASES)[:8]])
    few = Predictions(*(getattr(CHAMPION, name)[rows] for name in Predictions.__slots__))
    assert check(verdict(few, None), "calibration level").result is Result.CANNOT_TELL


def test_the_slope_is_judged_by_what_patients_count() -> None:
    """Of patients who count next to nothing it may be wrong."""
    women = SEX == "F"
    challenger = predictions(np.where(women, 4 * blurred(1.0), blurred(1.0)))
    for counts, passes in ((None, False), (np.where(women, 1e-6, 1.0), True)):
        found = judge(challenger, None, THRESHOLDS, CONFIG, learned_from=NOBODY, counts=counts)
        assert check(found, "calibration slope").passed == passes


def test_calibration_is_judged_by_what_patients_count() -> None:
    """One that is calibrated for everybody says too little of those who were sent, more often the ill."""
    counts = np.where(CHAMPION.labels[:, 1] == 1, 0.4, 1.6)
    everybody = predictions(blurred(0.7) - np.log(4))
    naive = judge(everybody, None, THRESHOLDS, CONFIG, learned_from=NOBODY)
    weighted = judge(everybody, None, THRESHOLDS, CONFIG, learned_from=NOBODY, counts=counts)
    assert "calibration level" in failed(naive)
    assert "calibration level" not in failed(weighted)


@pytest.mark.parametrize(
    ("logit", "checks"),
    [
        (3 * blurred(1.0), {"calibration level", "calibration slope"}),
        (blurred(1.0) - 1.5, {"calibration level", "workload"}),
    ],
    ids=["overconfident", "too low"],
)
def test_a_miscalibrated_challenger_is_rejected(logit: Reals, checks: set[str]) -> None:
    found = failed(verdict(predictions(logit), alerts_per_1000=(50, 600)))
    assert found == checks


def test_a_single_patient_cannot_tell_of_calibration() -> None:
    """One patient with a case and a control has an estimate, and no error of it."""
    both = BinaryPredictions(np.array([0.8, 0.4, 0.3]), np.array([1, 0, 1], np.float32), 0.5)
    results = [found.result for found in calibrated(both, np.zeros(3, np.int64), CONFIG)]
    assert results == [Result.CANNOT_TELL] * 2
