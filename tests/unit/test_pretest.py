"""The published pre-test probability: the table, for whom it has a figure, and a model beside it."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from stence.cohort.entries import indication_code
from stence.evaluation.metrics import auroc
from stence.evaluation.predictions import Predictions
from stence.evaluation.pretest import NAME, PHRASES, pretest_probability, symptom_scores
from stence.evaluation.pretest_comparison import compared_with_pretest
from stence.models import TARGET_NAMES

ROOT = Path(__file__).parents[2]
ROUNDING = 0.006
"""Whole percents are .005 from the formula, and the table's authors rounded more than once."""


def formula(age: float, male: bool, score: int, risk_factors: int) -> float:
    """The risk-factor-weighted clinical likelihood of Winther et al. (JACC 2020;76:2421)."""
    typical, nonanginal, g = score == 3, score < 2, 1 + risk_factors // 2
    z = -9.5260 + 1.6128 * male + 0.0844 * age + 2.7112 * typical - 0.4675 * nonanginal + 1.4940 * g
    z -= 0.0187 * age * typical + 0.0131 * age * g + 0.2799 * typical * g + 0.2091 * male * g
    return float(expit(z))


def probability(age: float, sex: str, score: int = 3, risk_factors: int = 2) -> float:
    return float(pretest_probability(np.array([age]), np.array([sex]), score, risk_factors)[0])


def predictions(risk: np.ndarray, ill: np.ndarray, patients: np.ndarray, age: np.ndarray) -> Predictions:
    return Predictions(
        np.repeat(risk[:, None], len(TARGET_NAMES), axis=1),
        np.repeat(ill[:, None], len(TARGET_NAMES), axis=1).astype(np.float32),
        patients,
        np.zeros((len(risk), 16), np.float32),
        np.full(len(risk), "M"),
        age,
    )


def test_the_table_is_the_published_formula_at_the_middle_of_each_age_group() -> None:
    for age, sex, score, factors in product((35, 45, 55, 65, 75), "FM", range(4), range(6)):
        expected = formula(age, sex == "M", score, factors)
        assert probability(age, sex, score, factors) == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize(
    ("age", "percent"), [(29.9, np.nan), (30, 14), (39.9, 14), (40, 20), (70, 44), (80.9, 44), (81, np.nan)]
)
def test_the_table_has_ages_of_30_to_80_completed_years(age: float, percent: float) -> None:
    np.testing.assert_allclose(100 * probability(age, "M"), percent)


def test_without_age_or_sex_there_is_no_figure() -> None:
    assert np.isnan([probability(np.nan, "M"), probability(50, "")]).all()


def test_symptoms_are_those_of_the_documented_phrases_alone() -> None:
    stated = ["Typical angina", " chest pain", "DYSPNEA", "non-cardiac chest pain", "check-up", "", "I20.9"]
    codes = np.array([indication_code(text) for text in stated])
    assert symptom_scores(codes).tolist() == [3, 2, 2, 1, 0, 0, 3]
    phrases = [phrase for of_score in PHRASES.values() for phrase in of_score]
    assert len(phrases) == len(set(phrases)), "each phrase has one score"
    described = (ROOT / "stence/registry/README.md").read_text().casefold()
    assert [phrase for phrase in phrases if phrase not in described] == []


def test_a_model_stands_beside_the_table_on_the_same_patients_each_of_whom_weighs_one() -> None:
    rng = np.random.default_rng(0)
    count = 400
    patients = np.concatenate([np.arange(count), np.zeros(50, np.int64)])
    age = np.where(patients < 40, 85.0, 30 + patients % 50).astype(float)
    ill = (rng.uniform(size=count) < expit((np.arange(count) % 50 - 25) / 8))[patients]
    risk = np.round(expit(ill + rng.normal(size=len(patients))), 6)
    codes = np.where(patients % 2 == 0, indication_code("angina"), indication_code("something else"))
    model = predictions(risk, ill, patients, age)
    model.labels[:count][patients[:count] % 10 == 9] = np.nan
    found = compared_with_pretest({"a": model, "b": model}, codes)

    own = np.flatnonzero((age <= 80) & ~np.isnan(model.labels[:, 0]))
    assert found["labelled"] == 360
    assert found["patients"] == len(own) == 324
    assert found["with_symptoms"] == 180
    assert found["observed"]["value"] == pytest.approx(ill[own].mean(), abs=1e-4)
    published = pretest_probability(age[own], model.sex[own], np.where(patients[own] % 2 == 0, 3, 0))
    of_table, first, second = (found["models"][name] for name in (NAME, "a", "b"))
    assert of_table["expected"] == pytest.approx(published.mean(), abs=1e-4)
    assert of_table["auroc"]["value"] == pytest.approx(auroc(published, model.labels[own, 0]), abs=1e-4)
    assert of_table["auroc"]["lower"] < of_table["auroc"]["value"] < of_table["auroc"]["upper"]
    assert of_table["gain"]["value"] == pytest.approx(
        first["auroc"]["value"] - of_table["auroc"]["value"], abs=2e-4
    )
    assert first["gain"] is None
    assert second["gain"] == {"value": 0.0, "lower": 0.0, "upper": 0.0}


def test_an_ecg_of_a_patient_with_many_counts_a_share() -> None:
    patients = np.array([1, 1, 1, 2])
    model = predictions(
        np.array([0.9, 0.9, 0.9, 0.1]), np.array([1, 1, 1, 0]), patients, np.array([45.0] * 4)
    )
    found = compared_with_pretest({"a": model}, None)
    assert found["observed"]["value"] == 0.5
    assert found["models"]["a"]["expected"] == 0.5
    assert (found["patients"], found["with_symptoms"]) == (2, 0)


def test_patients_whom_the_table_does_not_know_leave_no_figures() -> None:
    model = predictions(np.array([0.9, 0.1]), np.array([1, 0]), np.arange(2), np.array([20.0, 90.0]))
    found = compared_with_pretest({"a": model}, None)
    assert (found["labelled"], found["patients"], found["observed"]["value"]) == (2, 0, None)
    assert {of["expected"] for of in found["models"].values()} == {None}
    assert {of["auroc"]["value"] for of in found["models"].values()} == {None}
