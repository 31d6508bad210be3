"""The gate between a challenger and the champion: what it lets through, and what it cannot tell."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from stence.evaluation.paired import Areas
from stence.evaluation.predictions import Predictions
from stence.models import TARGET_NAMES, Calibration, Threshold
from stence.training.evaluation import corrected_for_selection
from stence.training.gate import Check, Circumstances, GateConfig, Result, Verdict, judge, without_luck
from stence.training.gate.discrimination import better, detectable, look_alpha, margin_of, not_worse
from stence.training.publishing import Fitted

PATIENTS = 800
DECISIVE = TARGET_NAMES.index("stenosis_70")
THRESHOLDS = {name: Threshold(0.6, "chosen by the test") for name in TARGET_NAMES}
NOBODY = np.array([], dtype=np.int64)

Reals = NDArray[np.float64]
RISK = np.random.default_rng(0).normal(-0.4, 1.3, PATIENTS)
"""The true log odds of each test patient."""
SEX = np.where(np.random.default_rng(1).uniform(size=PATIENTS) < 0.5, "F", "M")
AGE = np.random.default_rng(2).uniform(45, 90, PATIENTS)


def predictions(logit: Reals, **changes: Any) -> Predictions:
    """A model that gives these log odds."""
    ill = np.random.default_rng(3).uniform(size=PATIENTS) < expit(RISK)
    degrees = np.zeros((PATIENTS, 16), np.float32)
    degrees[ill, 5] = 80
    labels = np.repeat(ill[:, None], 6, axis=1).astype(np.float32)
    probabilities = np.repeat(np.round(expit(logit), 6)[:, None], 6, axis=1)
    fields = {
        "probabilities": probabilities,
        "labels": labels,
        "patients": np.arange(PATIENTS),
        "degrees": degrees,
        "sex": SEX,
        "age": AGE,
    }
    return Predictions(**(fields | changes))


def blurred(noise: float, seed: int = 4) -> Reals:
    """The truth and noise, shrunk so that the probabilities stay calibrated."""
    seen = RISK + np.random.default_rng(seed).normal(0, noise, PATIENTS)
    share = 1.3**2 / (1.3**2 + noise**2)
    return -0.4 + share * (seen + 0.4)


CHAMPION = predictions(blurred(1.5))
CONFIG = GateConfig()
CASES = CHAMPION.labels[:, DECISIVE] == 1


def verdict(challenger: Predictions, champion: Predictions | None = CHAMPION, **changes: Any) -> Verdict:
    days = changes.pop("days_since_look", None)
    baseline = changes.pop("baseline", None)
    return judge(
        challenger,
        champion,
        THRESHOLDS,
        GateConfig(**changes),
        learned_from=NOBODY,
        baseline=baseline,
        circumstances=Circumstances(days_since_look=days),
    )


def first(of: Predictions, count: int) -> Predictions:
    return Predictions(*(getattr(of, name)[:count] for name in Predictions.__slots__))


def named(found: Verdict, result: Result) -> set[str]:
    return {check.name for check in found.checks if check.result is result}


def failed(found: Verdict) -> set[str]:
    assert (found.result is Result.FAILED) == bool(named(found, Result.FAILED))
    return named(found, Result.FAILED)


def check(found: Verdict, name: str) -> Check:
    return next(each for each in found.checks if each.name == name)


def number(of: Check, what: str) -> float:
    """A number of a finding, to three decimals: the one that stands in place of ``#`` in ``what``."""
    match = re.search(what.replace("#", r"([+-]?\d+\.\d+)"), of.finding)
    assert match is not None, of.finding
    return float(match[1])


def test_a_better_challenger_passes_and_its_figures_are_told() -> None:
    found = verdict(predictions(blurred(0.7)))
    assert failed(found) == set()
    assert found.passed
    assert found.better
    assert found.text().startswith("passed the gate: ")
    assert "differs by +0.0" in found.text()
    told = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert (told["passed"], told["result"], told["better"]) == (True, "passed", True)


def test_the_champions_own_twin_is_not_worse_and_not_better() -> None:
    found = verdict(CHAMPION)
    assert found.passed
    assert not found.better
    assert check(found, "better than the champion").result is Result.CANNOT_TELL


LOWER, UPPER = "interval # to", r"interval \S+ to #\)"
WORSE = predictions(np.where((AGE >= 60) & (AGE < 70), blurred(4), RISK))
STEP = 0.002
"""More than a finding's rounding."""


@pytest.mark.parametrize(
    ("challenger", "name", "bound", "limits"),
    [
        (CHAMPION, "AUROC", LOWER, lambda bound, inside: {"auroc_floor": bound - inside}),
        (
            predictions(blurred(1.5, seed=9)),
            "AUROC against the champion",
            LOWER,
            lambda bound, inside: {"auroc_margin": (inside - bound,) * 2},
        ),
        (
            CHAMPION,
            "subgroup women",
            "at least #",
            lambda bound, inside: {"subgroup_margin": inside - bound},
        ),
        (CHAMPION, "subgroup women", LOWER, lambda bound, inside: {"subgroup_floor": bound - inside}),
    ],
    ids=["AUROC", "difference", "subgroup", "floor"],
)
def test_each_criterion_is_held_to_its_own_end_of_the_interval(
    challenger: Predictions, name: str, bound: str, limits: Any
) -> None:
    """Just inside its limit a challenger passes, just outside it does not."""
    old = predictions(blurred(1.5, seed=11))
    found = number(check(verdict(challenger, old), name), bound)
    inside, outside = (verdict(challenger, old, **limits(found, step)) for step in (STEP, -STEP))
    assert check(inside, name).result is Result.PASSED
    assert check(outside, name).result is not Result.PASSED


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


# --- not worse, and better ----------------------------------------------------------------------------------


def test_a_small_loss_in_few_patients_is_neither_found_nor_ruled_out() -> None:
    challenger, champion = (first(predictions(blurred(1.5, seed)), 120) for seed in (9, 4))
    found = verdict(challenger, champion)
    open_ = check(found, "AUROC against the champion")
    assert open_.result is Result.CANNOT_TELL
    assert "is found with 80% power, and an equal model passes in" in open_.finding
    assert found.result is Result.CANNOT_TELL
    assert open_.finding in found.reasons
    assert found.text().startswith("left open by the gate: ")


@pytest.mark.parametrize("error", [0.001, 0.0115, 0.03])
def test_the_margin_is_what_the_sample_can_show_within_its_bounds(error: float) -> None:
    low, high = CONFIG.auroc_margin
    assert margin_of(error, CONFIG) == pytest.approx(min(max(2.926 * error, low), high), abs=1e-5)


def test_a_loss_is_found_and_ruled_out_as_often_as_the_gate_says() -> None:
    """Of differences drawn with the error that the gate knows; both at 95 %, one-sided."""
    error, rng = 0.0115, np.random.default_rng(0)

    def shares(true: float) -> dict[Result, float]:
        results = [not_worse(d, error, CONFIG).result for d in rng.normal(true, error, 1000)]
        return {result: results.count(result) / 1000 for result in Result}

    assert shares(-detectable(error))[Result.FAILED] == pytest.approx(0.8, abs=0.05)
    equal = shares(0.0)
    assert equal[Result.PASSED] == pytest.approx(0.9, abs=0.03)
    assert equal[Result.FAILED] == pytest.approx(0.05, abs=0.02)
    assert shares(-0.05)[Result.PASSED] <= 0.01


def test_better_needs_more_where_challengers_are_judged_every_week() -> None:
    challenger = predictions(blurred(1.1))
    assert verdict(challenger).better
    weekly = verdict(challenger, days_since_look=1)
    assert weekly.passed
    assert not weekly.better
    needed = [
        number(check(each, "better than the champion"), "exceed #") for each in (verdict(challenger), weekly)
    ]
    assert needed[0] < needed[1]


def test_a_year_of_looks_has_the_chance_of_error_of_a_year() -> None:
    for days in (1, 7, 30, 90):
        assert look_alpha(days, CONFIG) * 365 / days == pytest.approx(CONFIG.alpha_per_year)
    assert look_alpha(1000, CONFIG) == look_alpha(None, CONFIG) == look_alpha(90, CONFIG)
    assert look_alpha(0, CONFIG) == 0
    assert better(0.4, 0.01, 0.0, CONFIG).result is Result.CANNOT_TELL


def test_another_seed_of_the_same_training_is_not_better() -> None:
    """With thousands of test patients a lucky seed is shown to be better, which is no reason to change."""
    assert better(0.025, 0.001, 0.001, CONFIG).result is Result.CANNOT_TELL
    assert better(0.025, 0.001, 0.001, GateConfig(retraining_sd=0)).result is Result.PASSED


def test_luck_is_taken_off_an_auroc_that_was_selected() -> None:
    found = Areas(np.array([0.80, 0.72]), 0.0004 * np.array([[1.0, 0.4], [0.4, 1.0]]))
    shown = without_luck(found, CONFIG)
    assert 0.76 < shown["value"] < 0.78
    assert shown["lower"] < shown["value"] < shown["upper"]
    equal = without_luck(replace(found, values=np.array([0.75, 0.75])), CONFIG)
    assert equal["value"] == 0.75


def test_the_card_shows_the_auroc_without_luck_and_the_measured_one_beside_it() -> None:
    measured = {"stenosis_70": {"auroc": {"value": 0.7, "lower": 0.6, "upper": 0.8}, "brier": 0.2}}
    model: Any = None
    fitted = Fitted(model, Calibration(), THRESHOLDS, measured, {})
    challenger = predictions(blurred(0.7))
    shown = corrected_for_selection(fitted, challenger, CHAMPION, CONFIG).metrics["stenosis_70"]
    assert shown["auroc_measured"] == measured["stenosis_70"]["auroc"]
    assert shown["brier"] == 0.2
    area = number(check(verdict(challenger), "AUROC"), r"stenosis_70 # \(")
    assert area - 0.02 < shown["auroc"]["value"] < area
    assert corrected_for_selection(fitted, challenger, None, CONFIG) is fitted


# --- a baseline ---------------------------------------------------------------------------------------------


def test_a_challenger_must_beat_the_baseline_if_there_is_one() -> None:
    name = "better than the baseline"
    good, poor = predictions(blurred(0.7)), predictions(blurred(2.5))
    assert check(verdict(good), name).finding == "there is no baseline to compare with"
    assert check(verdict(good, baseline=poor), name).result is Result.PASSED
    assert name in failed(verdict(poor, poor, baseline=good))
    alike = verdict(predictions(blurred(1.5, seed=9)), baseline=CHAMPION)
    assert check(alike, name).result is Result.CANNOT_TELL
    assert alike.result is Result.CANNOT_TELL
    assert not alike.better


# --- subgroups ----------------------------------------------------------------------------------------------


def test_a_subgroup_that_is_not_served_is_rejected_though_the_champion_serves_it_no_better() -> None:
    women = SEX == "F"
    challenger = predictions(np.where(women, -0.4 - (RISK + 0.4) / 3, RISK))
    assert "subgroup women" in failed(verdict(challenger, challenger))


def test_a_subgroup_is_judged_from_so_many_patients_with_and_so_many_without() -> None:
    ill = CHAMPION.labels[SEX == "F", DECISIVE] == 1
    fewer = int(min(ill.sum(), (~ill).sum()))
    assert fewer < len(ill) - fewer
    women = [
        check(verdict(CHAMPION, subgroup_patients=patients), "subgroup women").finding
        for patients in (fewer, fewer + 1)
    ]
    assert women[0].startswith("women: AUROC")
    counted = f"({ill.sum()} with, {(~ill).sum()} without)"
    assert women[1] == f"women: cannot be judged, too few patients {counted}"


def test_a_subgroup_that_cannot_be_judged_did_not_pass_and_stops_nothing() -> None:
    women = SEX == "F"
    challenger = predictions(np.where(women, -RISK, RISK), sex=np.where(women & (AGE < 47), "F", ""))
    found = verdict(challenger, None)
    assert check(found, "subgroup women").result is Result.CANNOT_TELL
    assert "too few patients" in check(found, "subgroup women").finding
    assert verdict(predictions(RISK, sex=challenger.sex), None, alerts_per_1000=(1, 400)).passed


def test_a_loss_in_a_subgroup_too_small_to_see_it_is_not_passed() -> None:
    """The women are served worse, but they are 60."""
    few = np.where((SEX == "F") & (np.cumsum(SEX == "F") > 60), "", SEX)
    challenger = predictions(np.where(few == "F", blurred(2.5, seed=8), blurred(1.5)), sex=few)
    champion = predictions(blurred(1.5), sex=few)
    judged = check(verdict(challenger, champion), "subgroup women")
    assert judged.result is Result.CANNOT_TELL
    assert judged.finding.startswith("women: cannot be judged")
    assert "the power to tell no loss from one of 0.05 is" in judged.finding


def test_patients_are_counted_not_their_ecgs() -> None:
    several = predictions(blurred(1.5), patients=np.arange(PATIENTS) // 50)
    assert "too few patients" in check(verdict(several, None), "subgroup women").finding


def test_more_ecgs_of_the_same_patients_make_nothing_more_certain() -> None:
    few = np.arange(200)
    once, often = (
        Predictions(*(getattr(CHAMPION, name)[rows] for name in Predictions.__slots__))
        for rows in (few, np.tile(few, 4))
    )
    for name in ("AUROC", "calibration level", "calibration slope", "subgroup men"):
        assert check(verdict(often, None), name) == check(verdict(once, None), name)


def test_a_subgroup_is_judged_by_the_ecgs_with_a_settled_label() -> None:
    """And so is calibration, by what those ECGs count."""
    settled = np.random.default_rng(6).uniform(size=PATIENTS) < 0.6
    labels = np.where(settled[:, None], CHAMPION.labels, np.nan).astype(np.float32)
    counts = np.random.default_rng(7).uniform(0.1, 3, PATIENTS)
    some = predictions(blurred(1.0), labels=labels)
    rest = Predictions(*(getattr(some, name)[settled] for name in Predictions.__slots__))
    whole, part = (
        judge(each, None, THRESHOLDS, CONFIG, learned_from=NOBODY, counts=weights)
        for each, weights in ((some, counts), (rest, counts[settled]))
    )
    assert whole.checks[1:] == part.checks[1:]


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


def test_a_challenger_that_knows_nothing_is_rejected() -> None:
    noise = np.random.default_rng(5).normal(-0.4, 0.1, PATIENTS)
    assert {"AUROC", "AUROC against the champion"} <= failed(verdict(predictions(noise)))
    assert "AUROC" in failed(verdict(predictions(noise), None))


def test_a_worse_challenger_is_rejected_with_the_difference() -> None:
    found = verdict(predictions(blurred(2.5)), subgroup_patients=PATIENTS)
    assert failed(found) == {"AUROC against the champion"}
    [reason] = found.reasons
    assert "stenosis_70 differs by -0." in reason
    assert "must be above -0.0" in reason
    assert found.text() == f"failed the gate: {reason}"


def test_the_difference_is_paired_patient_by_patient() -> None:
    """A challenger a shade better everywhere passes, though either AUROC alone is uncertain by far more."""
    shade = predictions(0.98 * blurred(1.5) + 0.02 * RISK)
    found = check(verdict(shade, auroc_margin=(0.01, 0.01)), "AUROC against the champion")
    assert found.result is Result.PASSED


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


def test_a_challenger_that_fails_women_is_rejected_by_name() -> None:
    women = SEX == "F"
    found = verdict(predictions(np.where(women, -0.4 - (RISK + 0.4) / 3, RISK)), None)
    assert "subgroup women" in failed(found)
    assert "subgroup men" not in failed(found)
    assert any(reason.startswith("women: AUROC 0.") for reason in found.reasons)


def test_a_subgroup_served_clearly_worse_than_by_the_champion_is_rejected() -> None:
    assert failed(verdict(WORSE)) == {"subgroup 60 to 69"}
    assert verdict(WORSE, None).passed


@pytest.mark.parametrize(("bounds", "passes"), [((1, 250), True), ((1, 50), False), ((300, 400), False)])
def test_the_workload_must_be_bearable(bounds: tuple[float, float], passes: bool) -> None:
    found = verdict(predictions(blurred(0.7)), alerts_per_1000=bounds)
    assert failed(found) == (set() if passes else {"workload"})
    if not passes:
        assert "alerts per 1,000 patients at the threshold" in found.reasons[0]


def test_both_bounds_of_the_workload_may_be_reached() -> None:
    challenger = predictions(blurred(0.7))
    alerts = 1000 * float((challenger.probabilities[:, DECISIVE] >= 0.6).mean())
    for bounds, passes in (
        ((alerts, 900), True),
        ((1, alerts), True),
        ((alerts + 1, 900), False),
        ((1, alerts - 1), False),
    ):
        found = verdict(challenger, alerts_per_1000=bounds)
        assert failed(found) == (set() if passes else {"workload"})


def test_a_challenger_that_learned_from_todays_test_patients_is_rejected() -> None:
    found = judge(
        predictions(blurred(0.7)), CHAMPION, THRESHOLDS, CONFIG, learned_from=np.array([7, 8, 9_999])
    )
    assert failed(found) == {"unseen test patients"}
    assert found.reasons == ["2 of 800 test patients were used to train, choose or calibrate it"]
    assert not found.better


def test_without_a_case_nothing_passes() -> None:
    challenger = predictions(blurred(0.7), labels=np.zeros((PATIENTS, 6), np.float32))
    assert "AUROC" in failed(verdict(challenger, None))


@pytest.mark.parametrize("role", ["champion", "baseline"])
def test_other_patients_than_the_champions_are_refused(role: str) -> None:
    other = predictions(blurred(0.7), patients=np.arange(PATIENTS) + 1)
    with pytest.raises(ValueError, match="the same ECGs"):
        verdict(CHAMPION, **{role: other})


def test_bounds_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="the first value must not exceed the second, got 2, 1"):
        GateConfig(odds_factors=(2, 1))
