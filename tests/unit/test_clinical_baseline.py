"""Beside every model stands what age and sex alone say, and what each part of the model is worth."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from stence.cohort import Part
from stence.cohort.entries import indication_code
from stence.evaluation.ablation import MEAN, ablation
from stence.evaluation.predictions import Predictions
from stence.fitting.baseline import baseline_name, clinical_baseline
from stence.models import TARGET_NAMES
from stence.simulation.truth import auroc


def people(seed: int, count: int, *, age_effect: float = 1.0) -> Part:
    """A patient an ECG; every target follows from age and sex alone."""
    rng = np.random.default_rng(seed)
    age, male = rng.normal(63, 12, count).clip(25, 95), rng.random(count) < 0.5
    risk = age_effect * (age - 63) / 10 + 0.8 * (male - 0.5)
    labels = (rng.random((count, 6)) < 1 / (1 + np.exp(-risk[:, None]))).astype(np.float32)
    return Part(
        contents=tuple(str(row) for row in range(count)),
        patients=np.arange(count),
        studies=np.arange(count),
        labels=labels,
        degrees=np.zeros((count, 16), np.float32),
        sex=np.where(male, "M", "F"),
        age=age,
        samples=np.full(count, 5000),
        rows=np.arange(count),
        signals=np.zeros((count, 1, 12, 1), np.float32),
    )


TRAIN, TEST = people(1, 600), people(2, 1500)


def risks(part: Part) -> np.ndarray:
    return (part.age - 63) / 10 + 0.8 * ((part.sex == "M") - 0.5)


def test_the_baseline_predicts_from_age_and_sex() -> None:
    found = clinical_baseline(TRAIN, TEST)
    for column in range(6):
        best = auroc(risks(TEST), TEST.labels[:, column])
        assert auroc(found.probabilities[:, column], TEST.labels[:, column]) > best - 0.01
    assert abs(found.probabilities.mean() - TEST.labels.mean()) < 0.03


def test_patients_without_age_or_sex_get_the_average_risk() -> None:
    found = clinical_baseline(TRAIN, TEST.without_age_and_sex()).probabilities
    assert (found == found[0]).all()
    half = clinical_baseline(TRAIN.without_age_and_sex(), TEST).probabilities
    np.testing.assert_allclose(half.mean(axis=0), TRAIN.labels.mean(axis=0), atol=0.15)
    assert np.isfinite(half).all()


def test_a_patient_counts_once_however_many_ecgs() -> None:
    first = TRAIN.labels[:, 0] == 1
    rows = np.concatenate([np.arange(600), np.repeat(np.flatnonzero(first)[:50], 5)])
    often = Part(
        **{
            name: np.asarray(getattr(TRAIN, name))[rows]
            for name in ("patients", "studies", "labels", "degrees", "sex", "age", "samples", "rows")
        },
        contents=tuple(str(row) for row in range(len(rows))),
        signals=TRAIN.signals,
    )
    once, again = (clinical_baseline(part, TEST).probabilities for part in (TRAIN, often))
    np.testing.assert_allclose(again, once, atol=1e-3)


def test_an_indication_that_twenty_patients_have_counts_where_it_is_stated() -> None:
    def complaining(part: Part, count: int) -> Part:
        """The indication is stated of some patients, all of them ill."""
        ill = np.flatnonzero(part.labels[:, 1] == 1)[:count]
        codes = np.full(len(part), indication_code(None), "U12")
        codes[ill] = indication_code("Chest pain")
        return replace(part, indication=codes)

    test = complaining(TEST, 300)
    stated = test.indication == indication_code("chest pain ")
    few, enough = (complaining(TRAIN, count) for count in (19, 20))
    assert baseline_name(TRAIN) == baseline_name(few) == "age and sex alone"
    assert baseline_name(enough) == "age, sex and indication"
    without, found = (clinical_baseline(part, test).probabilities[:, 1] for part in (few, enough))
    assert found[stated].mean() > without[stated].mean() + 0.1
    assert abs(found[~stated].mean() - without[~stated].mean()) < 0.05


def test_a_target_without_labels_is_left_at_one_half() -> None:
    train = people(1, 60)
    train.labels[:, 3] = np.nan
    assert (clinical_baseline(train, TEST).probabilities[:, 3] == 0.5).all()


def predicted(logits: np.ndarray) -> Predictions:
    return Predictions.of(TEST, np.repeat(1 / (1 + np.exp(-logits))[:, None], 6, axis=1))


def test_the_ablation_says_what_each_part_is_worth() -> None:
    noise = np.random.default_rng(0).normal(size=len(TEST))
    model, worse, same = predicted(risks(TEST)), predicted(risks(TEST) + 2 * noise), predicted(risks(TEST))
    found = ablation(model, {"worse": worse, "same": same}, 200)
    assert tuple(found) == (*TARGET_NAMES, MEAN)
    for column, target in enumerate(TARGET_NAMES):
        of = found[target]
        expected = auroc(risks(TEST), TEST.labels[:, column])
        assert of["model"]["value"] == pytest.approx(expected, abs=2e-4)
        gain = of["others"]["worse"]["gain"]
        assert 0 < gain["lower"] < gain["value"] < gain["upper"]
        assert of["others"]["same"]["gain"] == {"value": 0.0, "lower": 0.0, "upper": 0.0}
    spread = [found[name]["model"]["upper"] - found[name]["model"]["lower"] for name in found]
    assert spread[-1] < min(spread[:-1])


def test_a_target_without_cases_has_no_figure_and_raises_no_warning() -> None:
    part = people(3, 80)
    part.labels[:, 3] = 0
    model = Predictions.of(part, np.repeat(part.age[:, None] / 130, 6, axis=1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ablation(model, {"same": model}, 100)
    assert found["stenosis_100"]["model"]["value"] is None
    assert found[MEAN]["others"]["same"]["gain"]["value"] is None
    assert found["stenosis_70"]["model"]["value"] > 0.5
