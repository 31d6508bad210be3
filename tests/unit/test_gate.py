"""The gate between a challenger and the champion: what it lets through, and what it says otherwise."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from stence.evaluation.predictions import Predictions
from stence.models import TARGET_NAMES, Threshold
from stence.training.gate import Check, GateConfig, Verdict, judge

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


def verdict(challenger: Predictions, champion: Predictions | None = CHAMPION, **changes: Any) -> Verdict:
    config = GateConfig(**({"resamples": 300} | changes))
    return judge(challenger, champion, THRESHOLDS, config, learned_from=NOBODY)


def failed(found: Verdict) -> set[str]:
    assert found.passed == (not found.reasons)
    return {check.name for check in found.checks if not check.passed}


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
    assert found.text().startswith("passed the gate: ")
    assert "differs by +0.0" in found.text()
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["passed"] is True


def test_the_champions_own_twin_passes() -> None:
    assert verdict(CHAMPION).passed


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
            lambda bound, inside: {"auroc_margin": inside - bound},
        ),
        (
            predictions(3 * blurred(1.0)),
            "calibration slope",
            UPPER,
            lambda bound, inside: {"calibration_slope": (bound - inside, 9)},
        ),
        (
            predictions(blurred(1.0) / 3),
            "calibration slope",
            LOWER,
            lambda bound, inside: {"calibration_slope": (0, bound + inside)},
        ),
        (
            predictions(blurred(1.0) - 0.6),
            "calibration error",
            "error #,",
            lambda bound, inside: {"calibration_error": bound + inside, "calibration_margin": 1},
        ),
        (WORSE, "subgroup 60 to 69", UPPER, lambda bound, inside: {"subgroup_margin": inside - bound}),
        (WORSE, "subgroup women", "AUROC #,", lambda bound, inside: {"subgroup_floor": bound - inside}),
    ],
    ids=["AUROC", "difference", "overconfident", "underconfident", "calibration", "subgroup", "floor"],
)
def test_each_criterion_is_held_to_its_own_end_of_the_interval(
    challenger: Predictions, name: str, bound: str, limits: Any
) -> None:
    """Just inside its limit a challenger passes, just outside it does not."""
    found = number(check(verdict(challenger, resamples=100), name), bound)
    assert name not in failed(verdict(challenger, resamples=100, **limits(found, STEP)))
    assert name in failed(verdict(challenger, resamples=100, **limits(found, -STEP)))


def test_the_champions_calibration_may_be_missed_by_the_margin() -> None:
    challenger = predictions(blurred(1.0) - 0.6)
    found = check(verdict(challenger, resamples=100), "calibration error")
    margin = number(found, "error #,") - number(found, r"champion #\)")
    for inside, missed in ((STEP, False), (-STEP, True)):
        judged = verdict(challenger, resamples=100, calibration_margin=margin + inside)
        assert ("calibration error" in failed(judged)) == missed


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
    assert women[1] == f"women: too few patients to judge ({ill.sum()} with, {(~ill).sum()} without)"


def test_patients_are_counted_not_their_ecgs() -> None:
    several = predictions(blurred(1.5), patients=np.arange(PATIENTS) // 50)
    assert "too few patients to judge" in check(verdict(several, None), "subgroup women").finding


def test_more_ecgs_of_the_same_patients_make_nothing_more_certain() -> None:
    few = np.arange(200)
    once, often = (
        Predictions(*(getattr(CHAMPION, name)[rows] for name in Predictions.__slots__))
        for rows in (few, np.tile(few, 4))
    )
    for name in ("AUROC", "calibration slope"):
        assert check(verdict(often, None), name) == check(verdict(once, None), name)


def test_a_subgroup_is_judged_by_the_ecgs_with_a_settled_label() -> None:
    """And so is calibration, by what those ECGs count."""
    settled = np.random.default_rng(6).uniform(size=PATIENTS) < 0.6
    labels = np.where(settled[:, None], CHAMPION.labels, np.nan).astype(np.float32)
    counts = np.random.default_rng(7).uniform(0.1, 3, PATIENTS)
    some = predictions(blurred(1.0), labels=labels)
    rest = Predictions(*(getattr(some, name)[settled] for name in Predictions.__slots__))
    config = GateConfig(resamples=100)
    whole, part = (
        judge(each, None, THRESHOLDS, config, learned_from=NOBODY, counts=weights)
        for each, weights in ((some, counts), (rest, counts[settled]))
    )
    assert whole.checks[1:] == part.checks[1:]


def test_the_slope_is_judged_by_what_patients_count() -> None:
    """Of patients who count next to nothing it may be wrong."""
    women = SEX == "F"
    challenger = predictions(np.where(women, 4 * blurred(1.0), blurred(1.0)))
    config = GateConfig(resamples=100)
    for counts, passes in ((None, False), (np.where(women, 1e-6, 1.0), True)):
        found = judge(challenger, None, THRESHOLDS, config, learned_from=NOBODY, counts=counts)
        assert check(found, "calibration slope").passed == passes


def test_calibration_is_judged_by_what_patients_count() -> None:
    """One that is calibrated for everybody says too little of those who were sent, more often the ill."""
    counts = np.where(CHAMPION.labels[:, 1] == 1, 0.4, 1.6)
    everybody = predictions(blurred(0.7) - np.log(4))
    config = GateConfig(resamples=300)
    naive = judge(everybody, None, THRESHOLDS, config, learned_from=NOBODY)
    weighted = judge(everybody, None, THRESHOLDS, config, learned_from=NOBODY, counts=counts)
    assert "calibration error" in failed(naive)
    assert "calibration error" not in failed(weighted)


def test_a_challenger_that_knows_nothing_is_rejected() -> None:
    noise = np.random.default_rng(5).normal(-0.4, 0.1, PATIENTS)
    assert {"AUROC", "AUROC against the champion"} <= failed(verdict(predictions(noise)))
    assert "AUROC" in failed(verdict(predictions(noise), None))


def test_a_worse_challenger_is_rejected_with_the_difference() -> None:
    found = verdict(predictions(blurred(2.5)), subgroup_margin=0.2)
    assert failed(found) == {"AUROC against the champion"}
    [reason] = found.reasons
    assert "stenosis_70 differs by -0." in reason
    assert "must be above -0.01" in reason
    assert found.text() == f"failed the gate: {reason}"


def test_the_difference_is_paired_patient_by_patient() -> None:
    """A challenger a shade better everywhere passes, though either AUROC alone is uncertain by far more."""
    shade = predictions(0.98 * blurred(1.5) + 0.02 * RISK)
    assert "AUROC against the champion" not in failed(verdict(shade))


@pytest.mark.parametrize(
    ("logit", "checks"),
    [
        (3 * blurred(1.0), {"calibration error", "calibration slope"}),
        (blurred(1.0) - 1.5, {"calibration error", "workload"}),
    ],
    ids=["overconfident", "too low"],
)
def test_a_miscalibrated_challenger_is_rejected(logit: Reals, checks: set[str]) -> None:
    found = failed(verdict(predictions(logit), alerts_per_1000=(50, 600)))
    assert found == checks


def test_a_calibration_worse_than_the_champions_is_rejected_though_it_is_below_the_ceiling() -> None:
    # 0.6 in log odds are about a tenth in probability.
    challenger = predictions(blurred(1.0) - 0.6)
    assert failed(verdict(challenger, None)) == set()
    assert failed(verdict(challenger)) == {"calibration error"}


def test_a_challenger_that_fails_women_is_rejected_by_name() -> None:
    women = SEX == "F"
    found = verdict(predictions(np.where(women, -0.4 - (RISK + 0.4) / 3, RISK)), None)
    assert "subgroup women" in failed(found)
    assert "subgroup men" not in failed(found)
    assert any(reason.startswith("women: AUROC 0.") for reason in found.reasons)


def test_a_subgroup_served_clearly_worse_than_by_the_champion_is_rejected() -> None:
    old = (AGE >= 60) & (AGE < 70)
    challenger = predictions(np.where(old, blurred(4), RISK))
    assert failed(verdict(challenger)) == {"subgroup 60 to 69"}
    assert verdict(challenger, None).passed


def test_a_subgroup_with_too_few_patients_is_not_judged_and_said_so() -> None:
    women = SEX == "F"
    challenger = predictions(np.where(women, -RISK, RISK), sex=np.where(women & (AGE < 47), "F", ""))
    women_are = check(verdict(challenger, None), "subgroup women")
    assert women_are.passed
    assert "too few patients to judge" in women_are.finding


@pytest.mark.parametrize(("bounds", "passes"), [((1, 250), True), ((1, 50), False), ((300, 400), False)])
def test_the_workload_must_be_bearable(bounds: tuple[float, float], passes: bool) -> None:
    found = verdict(predictions(blurred(0.7)), alerts_per_1000=bounds)
    assert failed(found) == (set() if passes else {"workload"})
    if not passes:
        assert "alerts per 1,000 ECGs at the threshold" in found.reasons[0]


def test_both_bounds_of_the_workload_may_be_reached() -> None:
    challenger = predictions(blurred(0.7))
    alerts = 1000 * float((challenger.probabilities[:, DECISIVE] >= 0.6).mean())
    for bounds, passes in (
        ((alerts, 900), True),
        ((1, alerts), True),
        ((alerts + 1, 900), False),
        ((1, alerts - 1), False),
    ):
        found = verdict(challenger, resamples=100, alerts_per_1000=bounds)
        assert failed(found) == (set() if passes else {"workload"})


def test_a_challenger_that_learned_from_todays_test_patients_is_rejected() -> None:
    found = judge(
        predictions(blurred(0.7)), CHAMPION, THRESHOLDS, GateConfig(), learned_from=np.array([7, 8, 9_999])
    )
    assert failed(found) == {"unseen test patients"}
    assert found.reasons == ["2 of 800 test patients were used to train, choose or calibrate it"]


def test_without_a_case_nothing_passes() -> None:
    challenger = predictions(blurred(0.7), labels=np.zeros((PATIENTS, 6), np.float32))
    assert "AUROC" in failed(verdict(challenger, None))


def test_other_patients_than_the_champions_are_refused() -> None:
    other = predictions(blurred(0.7), patients=np.arange(PATIENTS) + 1)
    with pytest.raises(ValueError, match="the same ECGs"):
        verdict(other)


def test_the_auroc_difference_is_that_of_the_two_models() -> None:
    from stence.evaluation.metrics import auroc

    challenger = predictions(blurred(0.7))
    areas = [auroc(m.probabilities[:, DECISIVE], m.labels[:, DECISIVE]) for m in (challenger, CHAMPION)]
    found = check(verdict(challenger), "AUROC against the champion")
    assert f"differs by {areas[0] - areas[1]:+.3f}" in found.finding
    assert not any(math.isnan(area) for area in areas)
