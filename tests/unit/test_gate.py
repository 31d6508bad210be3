"""The gate between a challenger and the champion: what it lets through, and what it says otherwise."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from stence.evaluation.predictions import Predictions
from stence.models import TARGET_NAMES, Threshold
from stence.training.gate import GateConfig, Verdict, judge

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


def test_a_better_challenger_passes_and_its_figures_are_told() -> None:
    found = verdict(predictions(blurred(0.7)))
    assert failed(found) == set()
    assert found.text().startswith("passed the gate: ")
    assert "differs by +0.0" in found.text()
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["passed"] is True


def test_the_champions_own_twin_passes() -> None:
    assert verdict(CHAMPION).passed


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
    [check] = [check for check in verdict(challenger, None).checks if check.name == "subgroup women"]
    assert check.passed
    assert "too few patients to judge" in check.finding


@pytest.mark.parametrize(("bounds", "passes"), [((1, 250), True), ((1, 50), False), ((300, 400), False)])
def test_the_workload_must_be_bearable(bounds: tuple[float, float], passes: bool) -> None:
    found = verdict(predictions(blurred(0.7)), alerts_per_1000=bounds)
    assert failed(found) == (set() if passes else {"workload"})
    if not passes:
        assert "alerts per 1,000 ECGs at the threshold" in found.reasons[0]


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
    [check] = [c for c in verdict(challenger).checks if c.name == "AUROC against the champion"]
    assert f"differs by {areas[0] - areas[1]:+.3f}" in check.finding
    assert not any(math.isnan(area) for area in areas)
