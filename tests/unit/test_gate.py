"""The gate between a challenger and the champion: what it lets through, and what it cannot tell."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stence.evaluation.paired import Areas
from stence.evaluation.predictions import Predictions
from stence.models import Calibration
from stence.training.evaluation import corrected_for_selection
from stence.training.gate import GateConfig, Result, judge, without_luck
from stence.training.gate.discrimination import better, detectable, look_alpha, margin_of, not_worse
from stence.training.publishing import Fitted
from support.gate import (
    CHAMPION,
    CONFIG,
    DECISIVE,
    LOWER,
    PATIENTS,
    RISK,
    THRESHOLDS,
    blurred,
    check,
    failed,
    first,
    number,
    predictions,
    verdict,
)

STEP = 0.002
"""More than a finding's rounding."""


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


def test_a_challenger_that_knows_nothing_is_rejected() -> None:
    noise = np.random.default_rng(5).normal(-0.4, 0.1, PATIENTS)
    assert {"AUROC", "AUROC against the champion"} <= failed(verdict(predictions(noise)))
    assert "AUROC" in failed(verdict(predictions(noise), None))


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


def test_a_champion_that_cannot_be_compared_leaves_the_verdict_to_a_person() -> None:
    alone = predictions(blurred(1.0))
    assert verdict(alone, None).passed
    found = verdict(alone, None, hindrance="it reads another recipe")
    assert (found.result, found.better) == (Result.CANNOT_TELL, False)
    assert found.reasons == ["it reads another recipe"]
