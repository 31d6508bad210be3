"""Age and sex help where they are known, and cost nothing where they are not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from stence.fitting.clinical import Examples, fit_head
from stence.models import ClinicalHead, clinical_values
from stence.models.clinical import AGE, SEX
from stence.models.scorer import RiskScorer
from stence.registry import Artefact, Manifest, scorer
from stence.simulation.truth import auroc
from support.artefacts import make_artefact

EFFECTS = np.array([0.9, 0.6])
"""Log-odds per decade, and between men and women, of each drawn question."""


class Drawn:
    """Patients whose outcome follows from the ECG, age and sex; the ECG's logits are too confident."""

    def __init__(self, seed: int, count: int) -> None:
        rng = np.random.default_rng(seed)
        age, male = rng.normal(63, 12, count).clip(25, 95), rng.random(count) < 0.55
        self.clinical = clinical_values(age, ["M" if yes else "F" for yes in male])
        ecg = rng.normal(0, 1, (count, 2))
        truth = ecg + (EFFECTS[0] * (age - 63) / 10 + EFFECTS[1] * (male - 0.5))[:, None]
        self.answers = (rng.random((count, 2)) < 1 / (1 + np.exp(-truth))).astype(np.float32)
        self.logits = 3 * ecg
        self.truth = truth

    def examples(self, clinical: NDArray[np.float64] | None = None) -> Examples:
        """What the head learns from."""
        known = self.clinical if clinical is None else clinical
        return Examples(known, self.answers, np.ones(len(self.answers)))

    def masked(self, *columns: int) -> NDArray[np.float64]:
        """The same patients, of whom age (0) or sex (1) is unknown."""
        clinical = self.clinical.copy()
        clinical[:, columns] = np.nan
        return clinical


TRAIN, VALIDATION, TEST = Drawn(1, 700), Drawn(2, 150), Drawn(3, 4000)
NOTHING = TEST.masked(0, 1)


@pytest.fixture(scope="module")
def head() -> ClinicalHead:
    fitted = ClinicalHead(2)
    fit_head(fitted, TRAIN.examples(), VALIDATION.examples(), VALIDATION.logits)
    return fitted


def area(logits: NDArray[np.float64]) -> float:
    return auroc(logits[:, 0], TEST.answers[:, 0])


def test_age_and_sex_add_to_the_ecg_nearly_all_that_they_can(head: ClinicalHead) -> None:
    fused = area(head.fuse(TEST.logits, TEST.clinical))
    assert fused > area(TEST.logits) + 0.05
    assert fused > area(TEST.truth) - 0.01


def test_each_known_value_helps_by_itself(head: ClinicalHead) -> None:
    without_age, without_sex = (area(head.fuse(TEST.logits, TEST.masked(column))) for column in (0, 1))
    assert area(TEST.logits) < without_age < without_sex < area(head.fuse(TEST.logits, TEST.clinical))


def test_where_nothing_is_known_the_ecgs_logits_stay_as_they_are(head: ClinicalHead) -> None:
    np.testing.assert_array_equal(head.fuse(TEST.logits, NOTHING), TEST.logits)


@pytest.mark.parametrize("masked", [(), (0,), (1,), (0, 1)])
def test_one_calibration_suits_every_pattern_of_known_values(
    head: ClinicalHead, masked: tuple[int, ...]
) -> None:
    logits = head.fuse(TEST.logits, TEST.masked(*masked)) / 3.2
    predicted = 1 / (1 + np.exp(-logits))
    assert abs(predicted.mean() - TEST.answers.mean()) < 0.03
    upper = logits > np.median(logits)
    assert abs(predicted[upper].mean() - TEST.answers[upper].mean()) < 0.04


def test_patients_of_whom_a_value_is_unknown_teach_the_other(head: ClinicalHead) -> None:
    half = TRAIN.clinical.copy()
    half[::2, 0] = np.nan
    learned = ClinicalHead(2)
    fit_head(learned, TRAIN.examples(half), VALIDATION.examples(), VALIDATION.logits)
    np.testing.assert_allclose(learned.coefficients[SEX], head.coefficients[SEX])
    assert area(learned.fuse(TEST.logits, TEST.clinical)) > area(TEST.logits) + 0.04


def test_a_hospital_that_states_neither_has_the_ecgs_model() -> None:
    neither = ClinicalHead(2)
    train, validation = TRAIN.masked(0, 1), VALIDATION.masked(0, 1)
    fit_head(neither, TRAIN.examples(train), VALIDATION.examples(validation), VALIDATION.logits)
    np.testing.assert_array_equal(neither.fuse(TEST.logits, TEST.clinical), TEST.logits)


def test_a_value_that_was_never_learned_is_not_used() -> None:
    ages_only = ClinicalHead(2)
    train, validation = TRAIN.masked(1), VALIDATION.masked(1)
    fit_head(ages_only, TRAIN.examples(train), VALIDATION.examples(validation), VALIDATION.logits)
    fused = ages_only.fuse(TEST.logits, TEST.clinical)
    np.testing.assert_array_equal(fused, ages_only.fuse(TEST.logits, TEST.masked(1)))
    assert area(fused) > area(TEST.logits) + 0.03


def test_validation_patients_without_the_values_leave_the_head_finite() -> None:
    prior = ClinicalHead(2)
    validation = VALIDATION.masked(0, 1)
    fit_head(prior, TRAIN.examples(), VALIDATION.examples(validation), VALIDATION.logits)
    assert prior.weights.tolist() == pytest.approx([1.0] * 4)
    assert np.isfinite(prior.fuse(TEST.logits, TEST.clinical)).all()


def test_nothing_is_extrapolated_beyond_the_ages_that_were_seen(head: ClinicalHead) -> None:
    oldest, logits = float(head.ages[1]), np.zeros((3, 2))
    fused = head.fuse(logits, clinical_values([oldest, oldest + 10, 109.0], "MMM"))
    np.testing.assert_array_equal(fused, fused[[0, 0, 0]])


@pytest.mark.parametrize("age", [-1.0, 0.0, 17.9, 110.1, 999.0, np.nan, None])
def test_an_age_that_no_adult_has_counts_as_unknown(age: float | None) -> None:
    assert np.isnan(clinical_values([age], ["M"])[0, 0])


def test_fused_logits_do_not_depend_on_the_other_ecgs(head: ClinicalHead) -> None:
    together = head.fuse(TEST.logits[:37], TEST.clinical[:37])
    for row in range(37):
        alone = head.fuse(TEST.logits[row : row + 1], TEST.clinical[row : row + 1])
        np.testing.assert_array_equal(alone[0], together[row])


def test_a_model_with_a_clinical_head_comes_back_from_its_files() -> None:
    artefact = make_artefact(clinical=True)
    ecgs = np.random.default_rng(0).standard_normal((4, 2, 12, 1500)).astype(np.float32)
    known = clinical_values([80.0, 80.0, None, None], ["M", None, "M", None])
    same = Artefact(Manifest.model_validate_json(artefact.manifest_bytes), artefact.weights)
    found, alone = scored(same, ecgs, known), scored(make_artefact(), ecgs, known)
    assert (found[:3] != alone[:3]).any(axis=1).all()
    np.testing.assert_array_equal(found[3], alone[3])


def test_a_model_from_before_the_head_scores_as_before() -> None:
    artefact = make_artefact()
    content = json.loads(artefact.manifest_bytes)
    del content["architecture"]["clinical"]
    old = Artefact(Manifest.model_validate_json(json.dumps(content)), artefact.weights)
    ecgs = np.random.default_rng(0).standard_normal((2, 2, 12, 1500)).astype(np.float32)
    known, unknown = clinical_values([80.0, 30.0], "MF"), clinical_values([None, None], ["", ""])
    np.testing.assert_array_equal(scored(old, ecgs, known), scored(old, ecgs, unknown))


def scored(artefact: Artefact, ecgs: NDArray[np.float32], known: NDArray[np.float64]) -> NDArray[np.float64]:
    built: RiskScorer = scorer(artefact, "cpu")
    return built.embed_and_score(ecgs, known).probabilities


def test_patterns_count_what_is_known() -> None:
    assert (AGE, SEX) == (1, 2)  # they are written into artefacts
