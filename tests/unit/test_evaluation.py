"""Figures, their intervals, grey zones and subgroups."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchmetrics.functional import classification

from stence.cohort import Part
from stence.evaluation.bootstrap import bounds, resamples
from stence.evaluation.calibration_error import resampled
from stence.evaluation.evaluate import auroc, evaluate, measured
from stence.evaluation.metrics import (
    BinaryPredictions,
    binary_metrics,
    calibration_errors,
    calibration_lines,
    patient_shares,
    resampled_metrics,
)
from stence.evaluation.predictions import Predictions, predict, target_predictions
from stence.models import TARGET_NAMES, Threshold, labels
from support.models import ShapeScorer

NAN = math.nan
THRESHOLDS = {name: Threshold(0.5, "chosen by the test") for name in TARGET_NAMES}


def predicted(probability: list[float], label: list[float], threshold: float = 0.5) -> BinaryPredictions:
    return BinaryPredictions(np.array(probability), np.array(label, np.float32), threshold)


def random_predictions(seed: int, count: int = 300) -> BinaryPredictions:
    """Probabilities in steps of 0.05, so that many are equal, and some are 0 or 1."""
    rng = np.random.default_rng(seed)
    probability = np.round(rng.uniform(size=count) * 20) / 20
    label = (rng.uniform(size=count) < 0.8 * probability + 0.1).astype(np.float32)
    return BinaryPredictions(probability, label, threshold=0.65)


def test_figures_of_a_small_case_are_those_worked_out_by_hand() -> None:
    found = binary_metrics(predicted([0.9, 0.6, 0.4, 0.1, 0.2], [1, 0, 1, 0, 0], 0.6))
    assert found["auroc"] == pytest.approx(5 / 6)
    assert found["auprc"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["brier"] == pytest.approx((0.01 + 0.36 + 0.36 + 0.01 + 0.04) / 5)
    assert found["sensitivity"] == found["positive_predictive_value"] == found["f1"] == 0.5
    assert found["specificity"] == pytest.approx(2 / 3)
    assert (found["prevalence"], found["alerts_per_1000"]) == pytest.approx((0.4, 400))
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["balanced_accuracy"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["kappa"] == pytest.approx((3 / 5 - 13 / 25) / (1 - 13 / 25))


@pytest.mark.parametrize("seed", range(5))
def test_the_calibration_error_is_torchmetrics(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = BinaryPredictions(rng.uniform(size=300), rng.integers(0, 2, 300).astype(np.float32), 0.5)
    expected = classification.binary_calibration_error(
        torch.from_numpy(case.probability), torch.from_numpy(case.label).int(), n_bins=10
    )
    assert calibration_errors(case, np.ones((1, 300)))[0] == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_unweighted_figures_are_torchmetrics(seed: int) -> None:
    case = random_predictions(seed)
    label, flagged = torch.from_numpy(case.label).int(), torch.from_numpy(case.flagged).int()
    probability, found = torch.from_numpy(case.probability), binary_metrics(case)
    ranked = {"auroc": classification.binary_auroc, "auprc": classification.binary_average_precision}
    decided = {
        "sensitivity": classification.binary_recall,
        "specificity": classification.binary_specificity,
        "positive_predictive_value": classification.binary_precision,
        "f1": classification.binary_f1_score,
        "accuracy": classification.binary_accuracy,
        "kappa": classification.binary_cohen_kappa,
    }
    expected = {name: float(measure(probability, label)) for name, measure in ranked.items()}
    expected |= {name: float(measure(flagged, label)) for name, measure in decided.items()}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-5)


def test_certain_probabilities_are_in_the_last_bin() -> None:
    case = predicted([1.0, 0.95], [1, 0])
    assert calibration_errors(case, np.ones((1, 2)))[0] == pytest.approx(0.95 / 2)


@pytest.mark.parametrize("seed", range(5))
def test_a_resamples_figures_are_those_of_the_ecgs_drawn(seed: int) -> None:
    case = random_predictions(seed)
    times = np.random.default_rng(seed).integers(0, 3, size=(4, len(case.label)))
    resampled = resampled_metrics(case, times.astype(np.float64))
    for row, drawn in enumerate(times):
        rows = np.repeat(np.arange(len(drawn)), drawn)
        expected = binary_metrics(BinaryPredictions(case.probability[rows], case.label[rows], case.threshold))
        assert {name: values[row] for name, values in resampled.items()} == pytest.approx(expected, abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0]), st.sampled_from([0.0, 1.0]), st.integers(1, 4)),
        max_size=12,
    )
)
def test_a_patient_weighs_one_whatever_the_number_of_ecgs(ecgs: list[tuple[float, float, int]]) -> None:
    """Figures with undefined ones among them, of patients with up to four equal ECGs and of one each."""
    once = predicted([p for p, _, _ in ecgs], [label for _, label, _ in ecgs])
    owner = np.repeat(np.arange(len(ecgs)), [times for _, _, times in ecgs])
    often = BinaryPredictions(
        once.probability[owner], once.label[owner], once.threshold, patient_shares(owner)
    )
    assert binary_metrics(often) == pytest.approx(binary_metrics(once), abs=1e-5, nan_ok=True)


def test_without_a_flag_precision_is_undefined_and_f1_is_zero() -> None:
    found = binary_metrics(predicted([0.1, 0.2], [1, 0]))
    assert math.isnan(found["positive_predictive_value"])
    assert found["f1"] == found["sensitivity"] == 0


def test_the_calibration_line_of_true_probabilities_is_one_and_zero() -> None:
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.02, 0.98, 40_000)
    label = (rng.uniform(size=len(probability)) < probability).astype(np.float32)
    slope, intercept = calibration_lines(BinaryPredictions(probability, label, 0.5), np.ones((1, len(label))))
    assert slope[0] == pytest.approx(1, abs=0.05)
    assert intercept[0] == pytest.approx(0, abs=0.05)


def test_the_calibration_line_of_decided_probabilities_is_one_too() -> None:
    """Most of them near 0 or 1: far from the line that the fit begins with."""
    rng = np.random.default_rng(0)
    probability = 1 / (1 + np.exp(-rng.normal(scale=5, size=40_000)))
    label = (rng.uniform(size=len(probability)) < probability).astype(np.float32)
    assert binary_metrics(BinaryPredictions(probability, label, 0.5))["calibration_slope"] == pytest.approx(
        1, abs=0.05
    )


def test_logits_doubled_and_moved_have_half_the_slope() -> None:
    rng = np.random.default_rng(0)
    logit = rng.normal(size=40_000)
    label = (rng.uniform(size=len(logit)) < 1 / (1 + np.exp(-logit))).astype(np.float32)
    case = BinaryPredictions(1 / (1 + np.exp(-(2 * logit - 1))), label, 0.5)
    found = binary_metrics(case)
    assert found["calibration_slope"] == pytest.approx(0.5, abs=0.05)
    assert found["calibration_intercept"] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_ecgs_of_one_answer_have_no_calibration_line(label: float) -> None:
    found = binary_metrics(predicted([0.2, 0.6, 0.7], [label] * 3))
    assert math.isnan(found["calibration_slope"])
    assert math.isnan(found["calibration_intercept"])


def test_an_interval_leaves_out_a_fortieth_at_either_end_and_what_is_not_defined() -> None:
    assert bounds(np.append(np.arange(1001.0), [NAN, math.inf])) == (25, 975)
    assert all(math.isnan(bound) for bound in bounds(np.array([NAN])))


# --- whole evaluations --------------------------------------------------------------------------------------


def predictions(patients: int, ecgs_each: int = 1, **changes: Any) -> Predictions:
    """Patients whose worst segment, the sixth, follows the probability."""
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(patients), ecgs_each)
    truth = rng.uniform(size=patients)
    degrees = np.zeros((patients, 16), np.float32)
    degrees[:, 5] = np.clip(100 * truth + rng.normal(0, 25, patients), 0, 100)
    fields = {
        "probabilities": np.repeat(truth[owner, None], 6, axis=1),
        "labels": np.array([labels(row.tolist()) for row in degrees])[owner],
        "patients": owner,
        "degrees": degrees[owner],
        "sex": np.where(rng.uniform(size=patients) < 0.5, "F", "M")[owner],
        "age": rng.uniform(55, 75, patients)[owner],
    }
    return Predictions(**(fields | changes))


def test_more_ecgs_of_the_same_patients_do_not_make_intervals_narrower() -> None:
    few, many = (evaluate(predictions(100, each), THRESHOLDS, 200)["stenosis_70"] for each in (1, 10))
    assert few["auroc"]["lower"] < few["auroc"]["value"] < few["auroc"]["upper"]
    for name in few.keys() - {"ecgs", "patients", "cases", "subgroups"}:
        assert many[name] == pytest.approx(few[name], abs=2e-4)


def test_a_patient_with_many_ecgs_counts_once() -> None:
    """Of four patients three are flagged; the fourth, who is not, has seven of the ten ECGs."""
    patients = np.array([0, 1, 2, *[3] * 7])
    flagged = np.array([0.9] * 3 + [0.1] * 7)
    label = np.array([1, 1, 0, *[1] * 7], np.float32)
    found = measured(BinaryPredictions(flagged, label, 0.5), patients, 100)
    assert found["alerts_per_1000"]["value"] == 750
    assert found["positive_predictive_value"]["value"] == round(2 / 3, 4)
    assert found["sensitivity"]["value"] == round(2 / 3, 4)
    assert (found["ecgs"], found["patients"]) == (10, 4)


def test_calibration_is_that_of_the_probabilities_made_for_it() -> None:
    """Ranking and decisions are those of the deployed probabilities."""
    deployed, patients = calibrated(150, 1, 0.2), np.arange(150)
    other = replace(deployed, probability=deployed.probability**2)
    both, ours, theirs = (
        measured(deployed, patients, 20, other),
        measured(deployed, patients, 20),
        measured(other, patients, 20),
    )
    of_labels = {"brier", "calibration_error", "calibration_slope", "calibration_intercept"}
    assert {name for name in both if both[name] == theirs[name] != ours[name]} == of_labels
    assert {name for name in both if both[name] == ours[name]} == both.keys() - of_labels


def calibrated(patients: int, seed: int, shift: float = 0.0) -> BinaryPredictions:
    """A model whose probabilities are true, but for ``shift``."""
    rng = np.random.default_rng(seed)
    risk = rng.uniform(0.1, 0.9 - shift, patients)
    return BinaryPredictions(risk + shift, (rng.uniform(size=patients) < risk).astype(np.float32), 0.5)


def test_chance_is_no_calibration_error() -> None:
    """Half of the calibrated models show none at all, and of an error its size is shown, in its interval."""
    perfect, wrong = (
        [
            measured(calibrated(150, seed, shift), np.arange(150), 100)["calibration_error"]
            for seed in range(40)
        ]
        for shift in (0.0, 0.2)
    )
    assert 10 <= sum(each["value"] == 0 for each in perfect) <= 32
    assert sum(each["lower"] > 0 for each in perfect) <= 6
    assert np.mean([each["value"] for each in wrong]) == pytest.approx(0.2, abs=0.02)
    for each in perfect + wrong:
        assert each["lower"] <= each["value"] <= each["upper"]


def test_resamples_of_the_calibration_error_are_as_large_as_the_error_itself() -> None:
    """A resample has the noise of its bins twice: with both subtracted, squares are the same on average."""
    case, patients = calibrated(400, 1, 0.2), np.arange(400)
    error, drawn, _ = resampled(case, patients, resamples(patients, 2000))
    noise = 0.2 / 400 * 8  # of about 8 bins, each with its variance over its patients, by share
    assert np.mean(drawn**2) == pytest.approx(error**2, abs=0.3 * noise)


def test_no_sample_shows_that_the_calibration_is_perfect() -> None:
    """Of 40 patients, chance alone gives some .1: no interval ends below that, and errors of .15 are held."""
    perfect, wrong = (
        [measured(calibrated(40, seed, shift), np.arange(40), 200)["calibration_error"] for seed in range(60)]
        for shift in (0.0, 0.15)
    )
    assert min(each["upper"] for each in perfect) > 0.07
    assert sum(each["lower"] == 0 for each in perfect) >= 54
    assert sum(each["lower"] <= 0.15 <= each["upper"] for each in wrong) >= 54


def test_a_patients_ecgs_are_one_in_the_calibration_error() -> None:
    case, patients = calibrated(150, 3, 0.1), np.arange(150)
    owner = np.repeat(patients, 4)
    often = BinaryPredictions(case.probability[owner], case.label[owner], case.threshold)
    assert (
        measured(often, owner, 100)["calibration_error"]
        == (measured(case, patients, 100)["calibration_error"])
    )


def test_intervals_do_not_depend_on_how_many_resamples_fit_into_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = evaluate(predictions(50), THRESHOLDS, 60)
    monkeypatch.setattr("stence.evaluation.bootstrap.CELLS", 7 * 50)
    assert evaluate(predictions(50), THRESHOLDS, 60) == whole


@pytest.mark.slow
def test_an_interval_holds_the_true_auroc_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        label = np.repeat([0, 1], 60).astype(np.float32)
        case = BinaryPredictions(1 / (1 + np.exp(-rng.normal(label, 1))), label, 0.5)
        areas = np.concatenate(
            [resampled_metrics(case, block)["auroc"] for block in resamples(np.arange(120), 300)]
        )
        lower, upper = np.percentile(areas, (2.5, 97.5))
        held += lower <= 0.7602 <= upper
    assert 0.88 <= held / 200 <= 0.99


def test_figures_go_into_json_and_are_null_where_they_mean_nothing() -> None:
    case = predictions(40, 2)
    case.labels[:, 3] = 0
    case.labels[:, 4] = np.nan
    report = json.loads(json.dumps(evaluate(case, THRESHOLDS, 100), allow_nan=False))
    nothing = {"value": None, "lower": None, "upper": None}
    assert report["stenosis_100"]["auroc"] == nothing
    assert report["stenosis_100"]["prevalence"]["value"] == 0
    assert report["rca_70"]["ecgs"] == 0
    assert report["rca_70"]["brier"] == nothing


def test_the_targets_weigh_patients() -> None:
    """A patient's weight is shared among the ECGs whose label is known."""
    case = predictions(2, 3)
    case.labels[0, 1] = np.nan
    asked = {each.name: each.predicted.weights for each in target_predictions(case, THRESHOLDS)}
    assert asked["stenosis_70"].tolist() == pytest.approx([1 / 2] * 2 + [1 / 3] * 3)
    assert asked["stenosis_50"].tolist() == pytest.approx([1 / 3] * 6)


def test_a_grey_zone_leaves_out_who_lies_between() -> None:
    degrees = np.zeros((5, 16), np.float32)
    degrees[:, 5] = [0, 50, 60, 70, 100]
    degrees[4, 5], degrees[4, 3] = 0, 100  # a minor segment counts as well
    case = predictions(5, degrees=degrees)
    np.testing.assert_array_equal(case.grey_zone_labels(50, 70), [0, 0, NAN, 1, 1])
    np.testing.assert_array_equal(case.grey_zone_labels(0, 90), [0, NAN, NAN, NAN, 1])
    report = evaluate(case, THRESHOLDS, 100)
    assert [report[name]["ecgs"] for name in ("grey_zone_50_70", "grey_zone_0_90")] == [4, 2]
    assert [report[name]["cases"] for name in ("grey_zone_50_70", "grey_zone_0_90")] == [2, 1]


def test_a_grey_zone_asks_the_target_of_its_high_degree() -> None:
    case = predictions(60)
    by_target = case.probabilities * np.arange(1, 7) / 6
    asked = {
        each.name: each for each in target_predictions(replace(case, probabilities=by_target), THRESHOLDS)
    }
    for name, target in (("grey_zone_50_70", "stenosis_70"), ("grey_zone_0_90", "stenosis_90")):
        mine = by_target[asked[name].rows, TARGET_NAMES.index(target)]
        np.testing.assert_array_equal(asked[name].predicted.probability, mine)


def test_a_subgroups_figures_are_those_of_its_members_alone() -> None:
    sex = np.array(["F", "M", ""] * 40)
    age = np.where(np.arange(120) % 2, 59.9, 60.0)
    age[0] = np.nan
    case = predictions(120, sex=sex, age=age)
    report = evaluate(case, THRESHOLDS, 100)["stenosis_70"]
    assert list(report["subgroups"]) == ["women", "men", "50 to 59", "60 to 69"]
    assert [group["patients"] for group in report["subgroups"].values()] == [40, 40, 60, 59]
    women = Predictions(*(getattr(case, name)[sex == "F"] for name in Predictions.__slots__))
    alone = evaluate(women, THRESHOLDS, 100)["stenosis_70"]
    assert report["subgroups"]["women"] == {name: alone[name] for name in alone if name != "subgroups"}


def test_a_scorer_is_assessed_on_a_part_in_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stence.evaluation.predictions.BATCH", 2)
    signals = np.stack([heartbeat_windows(seed) for seed in range(5)])
    rows = np.array([4, 0, 3])
    case = predictions(3)
    part = Part(
        contents=("a", "b", "c"),
        patients=case.patients,
        studies=np.arange(3),
        labels=case.labels,
        degrees=case.degrees,
        sex=case.sex,
        age=case.age,
        samples=np.full(3, 1500),
        rows=rows,
        signals=signals,
    )
    scorer: Any = ShapeScorer()
    found = predict(scorer, part)
    np.testing.assert_array_equal(found.probabilities, scorer.score(signals[rows]))
    assert len(np.unique(found.probabilities[:, 0])) == 3
    assert found.degrees is case.degrees
    arrays = ("patients", "studies", "labels", "degrees", "sex", "age", "samples", "rows")
    nobody = replace(part, contents=(), **{name: getattr(part, name)[:0] for name in arrays})
    assert predict(scorer, nobody).probabilities.shape == (0, 6)


def heartbeat_windows(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).exponential(size=(3, 12, 1500)).astype(np.float32)


def test_the_mean_auroc_skips_targets_without_cases() -> None:
    truth: NDArray[np.float32] = np.array([[1, 0], [0, 0], [NAN, NAN]], np.float32)
    assert auroc(np.array([[0.9, 0.5], [0.1, 0.5], [0.0, 0.0]]), truth) == 1.0
    assert math.isnan(auroc(np.array([[0.5]]), np.array([[0]], np.float32)))
