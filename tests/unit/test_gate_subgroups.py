"""The gate on subgroups: which it judges, and which cannot be judged."""

from __future__ import annotations

import numpy as np

from stence.evaluation.predictions import Predictions
from stence.training.gate import Result, judge
from support.gate import (
    AGE,
    CHAMPION,
    CONFIG,
    DECISIVE,
    NOBODY,
    PATIENTS,
    RISK,
    SEX,
    THRESHOLDS,
    blurred,
    check,
    failed,
    predictions,
    verdict,
)

WORSE = predictions(np.where((AGE >= 60) & (AGE < 70), blurred(4), RISK))


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


def test_a_challenger_that_fails_women_is_rejected_by_name() -> None:
    women = SEX == "F"
    found = verdict(predictions(np.where(women, -0.4 - (RISK + 0.4) / 3, RISK)), None)
    assert "subgroup women" in failed(found)
    assert "subgroup men" not in failed(found)
    assert any(reason.startswith("women: AUROC 0.") for reason in found.reasons)


def test_a_subgroup_served_clearly_worse_than_by_the_champion_is_rejected() -> None:
    assert failed(verdict(WORSE)) == {"subgroup 60 to 69"}
    assert verdict(WORSE, None).passed
