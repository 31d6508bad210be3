"""Outcome figures: naive, and weighted for who is sent; and what to expect before there are any."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import create_engine

from stence.domain.targets import TARGET_NAMES
from stence.domain.windows import Window
from stence.evaluation.follow_up import FollowUp, Scored
from stence.evaluation.judged import linear_metrics
from stence.evaluation.metrics import BinaryPredictions, resampled_metrics
from stence.evaluation.referral_weights import inverse_propensities
from stence.evaluation.watched import Watched
from stence.monitoring import promises
from stence.monitoring.estimation import expected
from stence.monitoring.metrics import Metric
from stence.monitoring.outcomes import outcomes
from stence.monitoring.withheld import WORDS, Reason
from stence.resources import sql_folder
from stence.settings import Settings
from support.months import as_follow_up, month, simulated_model, truth
from support.simulated_months import SimulatedModel

MONTHS, PEOPLE = 10, 3000
JUDGED = ("auroc", "ppv", "sensitivity", "calibration_intercept")
Found = dict[tuple[str, str], Metric]


@pytest.fixture(scope="module")
def model() -> SimulatedModel:
    return simulated_model(8000)


@pytest.fixture(scope="module")
def follow_up(model: SimulatedModel) -> FollowUp:
    return as_follow_up(month(500, PEOPLE, model))


def by_name(metrics: list[Metric]) -> Found:
    return {(str(metric.slice_value), metric.name): metric for metric in metrics}


def judged(follow_up: FollowUp, model: SimulatedModel, *, sliced: bool = False) -> Found:
    return by_name(list(outcomes(follow_up, model.thresholds, sliced=sliced)))


@pytest.mark.slow
def test_weighting_brings_months_nearer_to_the_truth(model: SimulatedModel) -> None:
    """A short form of tests/benchmarks/outcome_months.py: ten months, and four figures of two targets."""
    true = truth(month(20_000, 40_000, model), model)
    months = [judged(as_follow_up(month(seed, PEOPLE, model)), model) for seed in range(MONTHS)]
    nearer, held, held_naively = [], [], []
    for target in ("stenosis_70", "stenosis_90"):
        for name in JUDGED:
            real = true[target][name]
            for found in months:
                naive = found[target, f"outcome_{name}"]
                weighted = found[target, f"outcome_{name}_weighted"]
                nearer.append(abs(weighted.value - real) < abs(naive.value - real))
                held.append(weighted.lower <= real <= weighted.upper)  # type: ignore[operator]
                held_naively.append(naive.lower <= real <= naive.upper)  # type: ignore[operator]
    assert np.mean(nearer) > 0.7
    assert np.mean(held) > 0.85
    assert np.mean(held_naively) < 0.6


def test_a_patient_with_many_ecgs_counts_once(model: SimulatedModel, follow_up: FollowUp) -> None:
    referred = follow_up.patients[np.flatnonzero(follow_up.referred)[0]]
    mine = follow_up.patients == referred
    rows = np.repeat(np.arange(len(mine)), np.where(mine, 30, 1))
    many = FollowUp(*(getattr(follow_up, name)[rows] for name in follow_up_fields()))
    once, often = judged(follow_up, model), judged(many, model)
    for name in JUDGED:
        key = ("stenosis_70", f"outcome_{name}")
        assert often[key].value == pytest.approx(once[key].value, abs=1e-9)


def follow_up_fields() -> tuple[str, ...]:
    return (*Scored.__slots__, *FollowUp.__slots__)


def test_a_person_has_the_highest_of_their_scores_and_all_of_their_flags() -> None:
    three = np.array([0.2, 0.7, 0.4])
    nothing = np.full(3, "")
    mine = FollowUp(
        np.zeros(3, dtype=np.int64),
        np.repeat(three[:, None], 6, axis=1),
        nothing,
        np.full(3, np.nan),
        nothing,
        nothing,
        three > 0.5,
        np.array(["syncope", "chest pain", ""]),
        np.full((3, 6), np.nan, np.float32),
        np.zeros(3, dtype=bool),
        np.zeros(3, dtype=bool),
        np.array([False, True, False]),
        np.array([0.5, 0.0, 0.2]),
    )
    found = mine.people()
    assert found.probabilities.tolist() == [[0.7] * 6]
    assert (found.flags.tolist(), found.ecgs.tolist()) == ([1], [3])
    assert found.indications == [{"syncope": 1, "chest pain": 1}]
    assert found.drawn.tolist() == [True]
    assert found.chance.tolist() == pytest.approx([0.6])


def test_the_curve_is_of_tenths_of_the_people(model: SimulatedModel, follow_up: FollowUp) -> None:
    metrics = [m for m in outcomes(follow_up, model.thresholds) if m.slice_key == "target|bin"]
    for suffix in ("", "_weighted"):
        named = {m.slice_value: m for m in metrics if m.name == f"outcome_calibration_predicted{suffix}"}
        values = [named[f"stenosis_50|{number}"].value for number in range(1, 11)]
        assert values == sorted(values)
    counts = [m.count for m in metrics if m.name == "outcome_calibration_observed"]
    settled = (~np.isnan(follow_up.labels)).sum()
    assert sum(count or 0 for count in counts) == settled


def examined(probability: np.ndarray, ill: np.ndarray) -> FollowUp:
    """People of one ECG each, all of whom were sent."""
    count = len(ill)
    nothing = np.full(count, "")
    return FollowUp(
        np.arange(count),
        np.repeat(probability[:, None], 6, axis=1),
        nothing,
        np.full(count, np.nan),
        nothing,
        nothing,
        np.zeros(count, dtype=bool),
        nothing,
        np.repeat(ill[:, None], 6, axis=1).astype(np.float32),
        np.ones(count, dtype=bool),
        np.zeros(count, dtype=bool),
        np.zeros(count, dtype=bool),
        np.zeros(count),
    )


HALF = dict.fromkeys(TARGET_NAMES, 0.5)


def test_every_tenth_has_as_many_people() -> None:
    people = examined(np.arange(1, 201) / 202, np.arange(200) % 3 == 0)
    curve = [
        metric
        for metric in outcomes(people, HALF, sliced=False)
        if metric.name == "outcome_calibration_observed" and metric.slice_value.startswith("rca_70|")
    ]
    assert {metric.slice_value: metric.count for metric in curve} == {f"rca_70|{n}": 20 for n in range(1, 11)}


@pytest.mark.parametrize(
    ("ill", "well", "judged_by"), [(10, 25, True), (9, 25, False), (25, 10, True), (25, 9, False)]
)
def test_ten_with_the_stenosis_and_ten_without_give_figures(ill: int, well: int, judged_by: bool) -> None:
    people = examined(np.linspace(0.1, 0.9, ill + well), np.arange(ill + well) < ill)
    names = {metric.name for metric in outcomes(people, HALF, sliced=False)}
    assert "outcome_count" in names
    assert ("outcome_auroc" in names) == ("outcome_calibration_observed" in names) == judged_by


def test_outcome_figures_are_those_of_the_test_patients_by_other_names() -> None:
    rng = np.random.default_rng(2)
    probability = rng.uniform(size=80).round(1)
    predicted = BinaryPredictions(probability, (rng.uniform(size=80) < probability).astype(np.float32), 0.6)
    weights = rng.uniform(size=80)
    found, tested = linear_metrics(predicted, weights), resampled_metrics(predicted, weights[None])
    for name, metric in found.items():
        other = {"ppv": "positive_predictive_value"}.get(name, name)
        assert metric.value == pytest.approx(float(tested[other][0]))


def test_each_derivative_is_the_change_by_a_weight() -> None:
    rng = np.random.default_rng(3)
    probability = rng.uniform(size=30).round(1)
    predicted = BinaryPredictions(probability, (rng.uniform(size=30) < 0.5).astype(np.float32), 0.6)
    weights, step = rng.uniform(0.5, 1, size=30), 1e-5
    found = linear_metrics(predicted, weights)
    for row in range(0, 30, 3):
        more = weights + step * (np.arange(30) == row)
        for name, metric in linear_metrics(predicted, more).items():
            change = (metric.value - found[name].value) / step
            assert change == pytest.approx(found[name].derivative[row], abs=1e-3), name


def test_the_auroc_that_a_model_promised_is_the_manifests_with_its_interval() -> None:
    tested = {
        "stenosis_70": {"auroc": {"value": 0.8, "lower": 0.76, "upper": 0.84}},
        "rca_70": {"auroc": {"value": None}},
    }
    watched = Watched("m", "champion", "p", {"metrics": tested})
    day = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    (found,) = promises.measure(create_engine("sqlite://"), Settings(), day, watched)
    assert (found.value, found.lower, found.upper) == (0.8, 0.76, 0.84)
    assert (found.slice_key, found.slice_value, found.model_version) == ("target", "stenosis_70", "m")


def test_slices_are_parts_of_the_whole(model: SimulatedModel, follow_up: FollowUp) -> None:
    found = judged(follow_up, model, sliced=True)
    whole = found["stenosis_70", "outcome_count"]
    parts = [found[f"stenosis_70|{sex}", "outcome_count"] for sex in ("women", "men")]
    assert sum(part.value for part in parts) == whole.value
    assert sum(part.count or 0 for part in parts) == whole.count
    women = found["stenosis_70|women", "outcome_auroc_weighted"]
    assert women.slice_key == "target|sex"
    assert women.lower is not None
    assert women.lower < women.value


def test_too_few_outcomes_give_counts_and_no_figures(model: SimulatedModel) -> None:
    few = as_follow_up(month(3, 20, model))
    found = judged(few, model)
    shown = {name for _, name in found}
    assert {"outcome_count", "outcome_censored", "outcome_withheld", "outcome_withheld_weighted"} <= shown
    assert not any(f"outcome_{name}" in each for name in JUDGED for each in shown)
    nobody = replace(few, referred=np.zeros_like(few.referred), labels=np.full_like(few.labels, np.nan))
    assert judged(nobody, model) == {}


def test_effective_sample_size_is_below_the_people_with_an_outcome(
    model: SimulatedModel, follow_up: FollowUp
) -> None:
    found = judged(follow_up, model)
    size = found["stenosis_70", "outcome_effective_size_weighted"]
    assert 50 < size.value < 0.8 * found["stenosis_70", "outcome_effective_size"].value
    assert 0.01 < found["stenosis_70", "outcome_top_weight_weighted"].value < 0.3


def test_expected_figures_come_true_where_probabilities_do() -> None:
    rng = np.random.default_rng(4)
    held = []
    for _ in range(20):
        probability = rng.beta(0.8, 3, size=(600, len(TARGET_NAMES)))
        nothing = np.full(600, "")
        scored = Scored(np.arange(600), probability, nothing, np.full(600, np.nan), nothing, nothing)
        found = by_name(list(expected(scored, dict.fromkeys(TARGET_NAMES, 0.4), 200)))
        came = rng.random(probability.shape) < probability
        for column, target in enumerate(TARGET_NAMES):
            flagged = probability[:, column] >= 0.4
            for name, real in (
                ("expected_ppv", came[flagged, column].mean()),
                ("expected_sensitivity", flagged[came[:, column]].mean()),
            ):
                metric = found[target, name]
                held.append(metric.lower <= real <= metric.upper)  # type: ignore[operator]
    assert 0.9 < np.mean(held) < 1


def scored_ecgs(patients: np.ndarray, probability: np.ndarray) -> Scored:
    nothing = np.full(len(patients), "")
    several = np.repeat(probability[:, None], 6, axis=1)
    return Scored(patients, several, nothing, np.full(len(patients), np.nan), nothing, nothing)


@pytest.mark.parametrize(("ecgs", "judged_by"), [(49, False), (50, True)])
def test_a_handful_of_ecgs_gives_nothing_to_expect(ecgs: int, judged_by: bool) -> None:
    scored = scored_ecgs(np.arange(ecgs), np.linspace(0.1, 0.9, ecgs))
    assert bool(list(expected(scored, HALF, 100))) == judged_by


def test_all_ecgs_of_a_patient_are_expected_to_have_one_outcome() -> None:
    """So the same ECGs of fewer patients leave more open."""
    probability = np.tile(np.linspace(0.2, 0.8, 10), 10)
    widths = []
    for patients in (np.arange(100), np.repeat(np.arange(5), 20)):
        found = by_name(list(expected(scored_ecgs(patients, probability), HALF, 300)))
        metric = found["stenosis_70", "expected_ppv"]
        widths.append(metric.upper - metric.lower)  # type: ignore[operator]
    assert widths[1] > 2 * widths[0]


def test_a_patient_with_many_ecgs_is_expected_once() -> None:
    probability = np.linspace(0.1, 0.9, 60)
    rows = np.repeat(np.arange(60), np.where(np.arange(60) == 50, 40, 1))
    once, often = (
        by_name(list(expected(scored_ecgs(patients, probability[patients]), HALF, 50)))
        for patients in (np.arange(60), rows)
    )
    for name in ("auroc", "auprc", "ppv", "sensitivity"):
        key = ("stenosis_70", f"expected_{name}")
        assert often[key].value == pytest.approx(once[key].value)


def test_a_training_weighs_those_most_who_are_seldom_sent(follow_up: FollowUp) -> None:
    counts = inverse_propensities(follow_up)
    assert counts is not None
    people = follow_up.people()
    painful = np.array(["chest pain" in reasons for reasons in people.indications])[people.referred]
    assert counts.mean() == pytest.approx(1)
    assert counts[~painful].mean() > 2 * counts[painful].mean()
    few = FollowUp(*(getattr(follow_up, name)[:20] for name in follow_up_fields()))
    assert inverse_propensities(few) is None
    early = np.cumsum(people.referred) <= 49
    assert inverse_propensities(follow_up, early) is None
    assert inverse_propensities(follow_up, np.cumsum(people.referred) <= 50) is not None


def test_without_overlap_the_figures_of_everybody_are_withheld_and_the_others_named(
    model: SimulatedModel,
) -> None:
    """Everybody with a flag is sent, of the others one in 200; a verification sample of 5 % mends it."""
    rng, people = np.random.default_rng(1), 3000
    drawn_month = month(500, people, model)
    flagged = np.bincount(drawn_month.patients, weights=drawn_month.flagged) > 0
    chosen = ~flagged & (rng.random(people) < 0.05)
    sent = rng.random(people) < np.where(flagged, 0.9, 0.005)
    target = {"stenosis_70": model.thresholds["stenosis_70"]}
    found = {}
    for verified in (False, True):
        known = sent | (verified & chosen)
        follow_up = as_follow_up(
            replace(drawn_month, sent=known[drawn_month.patients]),
            chosen & verified,
            np.where(flagged | (not verified), 0, 0.05),
        )
        found[verified] = {m.name: m for m in outcomes(follow_up, target, sliced=False)}
    alone, mended = found[False], found[True]
    assert alone["outcome_withheld_weighted"].value == Reason.NO_OVERLAP
    assert alone["outcome_clipped_share"].value > 0.5
    assert "outcome_auroc_weighted" not in alone
    assert "outcome_auroc" in alone
    assert "outcome_withheld_weighted" not in mended
    assert mended["outcome_smallest_propensity"].value > 0.02
    assert mended["outcome_auroc_weighted"].lower is not None


@pytest.mark.parametrize("view", ["outcome_figures", "subgroup_figures"])
def test_the_views_write_out_every_reason(view: str) -> None:
    written = (sql_folder() / "views" / f"{view}.sql").read_text()
    for number, words in WORDS.items():
        assert f"WHEN {number.value} THEN '{words}'" in written
