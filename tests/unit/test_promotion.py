"""Evidence from shadow: what a model did beside the champion, judged before it takes its place."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import spearmanr

from stence.domain.checks import Check, Result, Verdict
from stence.training.promotion import Paired, judge_shadow

PATIENTS = 600
RNG = np.random.default_rng(0)
RISK = RNG.normal(-1.5, 1.0, PATIENTS)
ILL = (RNG.uniform(size=PATIENTS) < expit(RISK)).astype(np.float32)
OLD = expit(RISK + RNG.normal(0, 0.4, PATIENTS))
ALIKE = expit(RISK + RNG.normal(0, 0.4, PATIENTS))
UNKNOWN = np.full(PATIENTS, np.nan, np.float32)
CLINICAL = np.stack([RNG.uniform(30, 90, PATIENTS), RNG.choice([-0.5, 0.5], PATIENTS)], axis=1)


def judged(
    new: np.ndarray,
    label: np.ndarray = UNKNOWN,
    count: int = PATIENTS,
    at: float = 0.4,
    old: np.ndarray = OLD,
) -> Verdict:
    rows = slice(count)
    return judge_shadow(Paired(np.arange(count), new[rows], old[rows], label[rows], CLINICAL[rows]), at, 0.4)


def check(found: Verdict, name: str) -> Check:
    return next(each for each in found.checks if each.name == name)


def test_a_shadow_that_says_what_the_champion_says_passes_before_outcomes_are_known() -> None:
    found = judged(ALIKE)
    assert found.passed, found.text("shadow")
    assert check(found, "first outcomes").result is Result.CANNOT_TELL


def test_too_few_patients_leave_it_open() -> None:
    found = judged(ALIKE, count=99)
    assert found.result is Result.CANNOT_TELL
    assert found.reasons == ["99 patients were scored by both models, at least 100 are needed"]


@pytest.mark.parametrize(
    ("new", "at", "name"),
    [
        (np.random.default_rng(1).permutation(ALIKE), 0.4, "agreement with the champion"),
        (np.full(PATIENTS, float(OLD.mean())), 0.1, "agreement with the champion"),
        (expit(np.log(ALIKE / (1 - ALIKE)) + 1), 0.6, "score distribution"),
        (expit(np.log(ALIKE / (1 - ALIKE)) - 1), 0.2, "score distribution"),
        (ALIKE, 0.15, "workload in shadow"),
        (ALIKE, 0.8, "workload in shadow"),
    ],
    ids=["shuffled", "constant", "higher", "lower", "more alerts", "fewer alerts"],
)
def test_a_shadow_that_differs_fails_by_name(new: np.ndarray, at: float, name: str) -> None:
    found = judged(new, at=at)
    assert found.result is Result.FAILED
    assert check(found, name).result is Result.FAILED


def test_age_and_sex_do_not_stand_in_for_the_ecg() -> None:
    """A network that says nothing, beside the same age and sex, agrees in ranks, but not beyond them."""
    by_age = 0.08 * (CLINICAL[:, 0] - 60) + 2 * CLINICAL[:, 1] - 1.5
    old, broken = expit(by_age + RNG.normal(size=PATIENTS)), expit(by_age + RNG.normal(size=PATIENTS))
    assert spearmanr(old, broken).statistic > 0.6
    assert check(judged(broken, old=old), "agreement with the champion").result is Result.FAILED


def test_outcomes_that_are_worse_for_certain_stop_it() -> None:
    assert judged(ALIKE, ILL).passed
    assert check(judged(ALIKE, ILL), "first outcomes").result is Result.PASSED
    worse = expit(0.5 * np.log(OLD / (1 - OLD)) - 0.7 + RNG.normal(0, 0.5, PATIENTS))
    assert check(judged(worse, ILL), "first outcomes").result is Result.FAILED
    nearly = ILL.copy()
    nearly[np.flatnonzero(ILL)[19:]] = np.nan
    assert check(judged(worse, nearly), "first outcomes").result is Result.CANNOT_TELL


def test_a_patient_counts_once() -> None:
    """One patient with 500 alarming ECGs among 600 does not make the workload."""
    owner = np.concatenate([np.arange(PATIENTS), np.zeros(500, dtype=np.int64)])
    often = [np.concatenate([of, np.full(500, of[0] if i else 0.99)]) for i, of in enumerate((ALIKE, OLD))]
    label = np.full(len(owner), np.nan, np.float32)
    assert judge_shadow(Paired(owner, often[0], often[1], label, CLINICAL[owner]), 0.4, 0.4).passed
