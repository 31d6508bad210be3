"""Figures of a validation for planted predictions, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stence.evaluation.metrics import BinaryPredictions, patient_shares
from stence.evaluation.predictions import Predictions
from stence.models import TARGET_NAMES, Threshold
from stence.validation import ValidationConfig
from stence.validation.gathering import Flow, Gathered
from stence.validation.measuring import (
    calibration_curve,
    characteristics,
    missing,
    net_benefit,
    subgroups,
    targets,
)
from stence.validation.words import conclusions

THRESHOLDS = {name: Threshold(0.5, "planted") for name in TARGET_NAMES}
CONFIG = ValidationConfig(bootstrap_resamples=100, min_patients=2)


def gathered(
    risk: list[float],
    ill: list[int],
    patients: list[int] | None = None,
    sex: str = "",
    site: list[str] | None = None,
) -> Gathered:
    """One ECG each, with this risk of every target."""
    count = len(risk)
    degrees = np.zeros((count, 16), np.float32)
    degrees[:, 5] = np.where(np.array(ill) == 1, 95, 10)
    labels = np.repeat(np.array(ill, np.float32)[:, None], 6, axis=1)
    of = np.array(patients if patients is not None else range(count))
    everything = Predictions(
        np.repeat(np.array(risk)[:, None], 6, axis=1),
        labels,
        of,
        degrees,
        np.array(list(sex) if sex else [""] * count),
        np.array([60.0 + number for number in range(count)]),
    )
    nothing = np.full(count, "", dtype=np.str_)
    places = np.array(site) if site else nothing
    people = Flow(len(set(of.tolist())), len(set(of.tolist())), {})
    return Gathered(
        everything,
        np.full(count, 2.0),
        places,
        nothing,
        nothing,
        np.full(count, True),
        Flow(count, count, {}),
        people,
    )


def test_a_patient_weighs_one_however_many_ecgs_there_are() -> None:
    found = targets(
        gathered([0.9, 0.2, 0.2, 0.2, 0.4, 0.1], [1, 1, 1, 1, 0, 0], patients=[1, 2, 2, 2, 3, 4]),
        THRESHOLDS,
        CONFIG,
    )["stenosis_70"]
    assert (found["ecgs"], found["patients"], found["patients_with"], found["patients_without"]) == (
        6,
        4,
        2,
        2,
    )
    assert found["prevalence"]["value"] == 0.5
    assert found["sensitivity"]["value"] == 0.5, "one of two patients, not one of four ECGs"
    assert found["auroc"]["value"] == 0.75
    assert found["observed_to_expected"]["value"] == round(2 / 1.6, 4)


def test_too_few_patients_have_counts_and_no_figures() -> None:
    alike = gathered(
        [0.9, 0.9, 0.9, 0.1, 0.2], [1, 1, 1, 0, 0], patients=[1, 1, 1, 2, 3], site=["a"] * 3 + ["b"] * 2
    )
    found = targets(alike, THRESHOLDS, CONFIG)["stenosis_70"]
    assert found["cannot_tell"] == "1 patients with and 2 without; at least 2 of each are needed"
    assert "auroc" not in found
    assert {
        name: of["cannot_tell"][:21] for name, of in subgroups(alike, THRESHOLDS, CONFIG)["site"].items()
    } == {
        "a": "1 patients with and 0",
        "b": "0 patients with and 2",
    }
    assert conclusions({"targets": {"stenosis_70": found}}) == [
        "Nothing can be said of stenosis_70: 1 patients with and 2 without; at least 2 of each are needed."
    ]


def test_net_benefit_is_that_of_vickers_and_elkin() -> None:
    risk, label = np.array([0.9, 0.6, 0.3, 0.3, 0.1]), np.array([1, 0, 1, 0, 0], np.float32)
    found = net_benefit(BinaryPredictions(risk, label, 0.25), np.arange(5), 100)
    at = {row["threshold"]: row for row in found}
    assert [row["threshold"] for row in found if row["own"]] == [0.25]
    assert at[0.25]["model"]["value"] == round(2 / 5 - 2 / 5 / 3, 4)
    assert at[0.25]["everybody"]["value"] == round(2 / 5 - 3 / 5 / 3, 4)
    assert at[0.25]["gain"]["value"] == round(1 / 5 / 3, 4)
    assert at[0.5]["gain"]["value"] == at[0.5]["model"]["value"] == 0.0, (
        "flagging nobody is better than everybody"
    )


def test_net_benefit_and_curve_count_patients_not_ecgs() -> None:
    risk, label = np.repeat([0.85, 0.15], [3, 1]), np.repeat([1, 0], [3, 1]).astype(np.float32)
    patients = np.array([1, 1, 1, 2])
    predicted = BinaryPredictions(risk, label, 0.5, patient_shares(patients))
    own = next(row for row in net_benefit(predicted, patients, 100) if row["own"])
    assert own["model"]["value"] == 0.5
    curve = calibration_curve(predicted, patients)
    assert [(each["from"], each["ecgs"], each["patients"]) for each in curve] == [(0.1, 1, 1), (0.8, 3, 1)]
    assert curve[0]["observed"]["value"] is None, "a point of one patient is not shown"


def test_the_curve_holds_the_truth_of_a_calibrated_model() -> None:
    rng = np.random.default_rng(0)
    risk = rng.uniform(size=4000)
    predicted = BinaryPredictions(risk, (rng.uniform(size=4000) < risk).astype(np.float32), 0.5)
    for each in calibration_curve(predicted, np.arange(4000)):
        assert each["observed"]["lower"] < each["predicted"] < each["observed"]["upper"]


def test_a_share_of_all_has_an_interval_with_width() -> None:
    found = targets(gathered([0.9] * 20 + [0.1] * 20, [1] * 20 + [0] * 20), THRESHOLDS, CONFIG)["stenosis_70"]
    assert found["sensitivity"] == {"value": 1.0, "lower": 0.8389, "upper": 1.0}  # 20 of 20, Wilson
    assert found["positive_predictive_value"] == found["specificity"] == found["sensitivity"]


def test_missing_values_and_characteristics_are_counted() -> None:
    seen = gathered([0.9, 0.8, 0.2], [1, 1, 0], patients=[1, 1, 2], sex="FF ", site=["a", "", ""])
    seen.predictions.sex[2] = ""
    seen.predictions.age[0] = np.nan
    assert {row["item"]: (row["ecgs"], row["patients"]) for row in missing(seen)} == {
        "age": (1, 0),
        "sex": (1, 1),
        "site": (2, 1),
        "device": (3, 2),
        "indication": (3, 2),
    }
    everybody, ill, well = characteristics(seen)
    assert (everybody["patients"], ill["patients"], well["patients"]) == (2, 1, 1)
    assert everybody["risk"] == round((0.85 + 0.2) / 2, 4)
    assert (ill["age_mean"], ill["women"], well["women"]) == (61.0, 1.0, None)
    assert (ill["degree"], well["degree"]) == (95.0, 10.0)


@pytest.mark.parametrize(
    ("risk", "words"),
    [
        (0.9, "too high for these patients"),
        (0.1, "too low for these patients"),
        (0.5, "lies inside the interval"),
    ],
)
def test_the_level_of_the_risks_is_told(risk: float, words: str) -> None:
    rng = np.random.default_rng(1)
    noise: NDArray[np.float64] = rng.uniform(-0.05, 0.05, 200)
    report = {
        "targets": targets(gathered((risk + noise).tolist(), [0, 1] * 100), THRESHOLDS, CONFIG),
        "model": {"card": {}},
        "net_benefit": [],
    }
    assert words in conclusions(report)[2]
