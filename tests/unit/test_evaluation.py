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
from stence.evaluation.evaluate import auroc, evaluate
from stence.evaluation.metrics import BinaryPredictions, binary_metrics, calibration_lines, resampled_metrics
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
    assert found["calibration_error"] == pytest.approx((0.1 + 0.6 + 0.6 + 0.1 + 0.2) / 5)
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
    assert binary_metrics(case)["calibration_error"] == pytest.approx(float(expected), abs=1e-6)


def test_certain_probabilities_are_in_the_last_bin() -> None:
    assert binary_metrics(predicted([1.0, 0.95], [1, 0]))["calibration_error"] == pytest.approx(0.95 / 2)


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
    st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0]), st.sampled_from([0.0, 1.0])), max_size=12)
)
def test_both_ways_agree_on_what_is_not_defined(ecgs: list[tuple[float, float]]) -> None:
    case = predicted([p for p, _ in ecgs], [label for _, label in ecgs])
    resampled = resampled_metrics(case, np.ones((1, len(ecgs))))
    one = {name: float(values[0]) for name, values in resampled.items()}
    assert one == pytest.approx(binary_metrics(case), abs=1e-5, nan_ok=True)


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
    few, many = (
        evaluate(predictions(100, each), THRESHOLDS, 200)["stenosis_70"]["auroc"] for each in (1, 10)
    )
    assert few["lower"] < few["value"] < few["upper"]
    assert many == few


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
