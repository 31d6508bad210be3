"""How sure a score is: intervals that hold the true risk, and ECGs that are unlike the training ECGs."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.torch import load, save
from scipy.special import expit

from stence.errors import ArtefactError
from stence.evaluation.certainty import MIN_ECGS, WIDTHS, Sample, certainty_of, width_posterior
from stence.evaluation.screened import Referred
from stence.models import UNLIKE_PERCENT, Calibration, Certainty, clinical_values
from stence.models.coherence import probabilities
from stence.registry import Artefact, scorer
from stence.registry.artefact import CERTAINTY
from stence.training.certainty import groups_held
from support.artefacts import make_artefact, make_certainty

Reals = NDArray[np.float64]
POPULATION = (1.4, 0.9, 0.6, 0.5, 0.5)


def some_ecgs(count: int = 9) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((count, 2, 12, 1500)).astype(np.float32)


# --- the interval of a score --------------------------------------------------------------------------------


def test_the_draws_are_what_their_calibrations_make_of_the_shifted_logits() -> None:
    rng = np.random.default_rng(3)
    draws = tuple(
        Calibration(tuple(rng.uniform(0.5, 1.5, 6)), tuple(rng.normal(size=6)), tuple(rng.uniform(0.3, 2, 5)))
        for _ in range(7)
    )
    sure = replace(make_certainty(7), draws=draws)
    logits, coordinates = 3 * rng.standard_normal((5, 6)), rng.standard_normal((5, 32))
    found = sure.drawn(logits, coordinates)
    for number, (draw, offset) in enumerate(zip(draws, sure.offsets, strict=True)):
        expected = probabilities(draw.apply(logits + coordinates @ offset.T))
        np.testing.assert_allclose(found[..., number], expected, rtol=0, atol=1e-12)


def test_a_probability_lies_in_its_interval_and_both_are_the_same_in_any_company() -> None:
    model = scorer(make_artefact(certainty=make_certainty()), "cpu")
    ecgs, unknown = some_ecgs(), clinical_values([None] * 9, [None] * 9)
    scores = model.embed_and_score(ecgs, unknown)
    assert (scores.lower <= scores.probabilities).all()
    assert (scores.probabilities <= scores.upper).all()
    assert (scores.upper - scores.lower > 0.01).all()
    np.testing.assert_array_equal(scores.lower, np.round(scores.lower, 6))
    for row, ecg in enumerate(ecgs):
        for alone, together in zip(model.embed_and_score(ecg[None], unknown[:1]), scores, strict=True):
            np.testing.assert_array_equal(alone[0], together[row])


def test_an_interval_reaches_to_its_probability_where_all_draws_lie_above() -> None:
    sure = make_certainty()
    higher = tuple(replace(draw, intercepts=(2.0,) * 6) for draw in sure.draws)
    model = scorer(make_artefact(certainty=replace(sure, draws=higher)), "cpu")
    scores = model.embed_and_score(some_ecgs(), clinical_values([None] * 9, [None] * 9))
    np.testing.assert_array_equal(scores.lower, scores.probabilities)


def test_the_probabilities_are_the_same_with_and_without_intervals() -> None:
    with_intervals, without = (
        scorer(make_artefact(certainty=sure), "cpu") for sure in (make_certainty(), None)
    )
    np.testing.assert_array_equal(with_intervals.score(some_ecgs()), without.score(some_ecgs()))


@pytest.mark.parametrize(("draws", "outside"), [(100, 2), (60, 1), (39, 1)])
def test_an_interval_leaves_out_no_more_than_the_tails(draws: int, outside: int) -> None:
    sure = make_certainty(draws)
    logits, coordinates = np.zeros((1, 6)), np.ones((1, 32))
    lower, upper = sure.interval(logits, coordinates)
    risks = np.sort(sure.drawn(logits, coordinates)[0, 1])
    assert (lower[0, 1], upper[0, 1]) == pytest.approx((risks[outside - 1], risks[-outside]), abs=1e-6)
    assert 2 * outside / (draws + 1) <= 0.05


# --- old and damaged artefacts ------------------------------------------------------------------------------


def test_an_artefact_without_certainty_scores_and_cannot_tell() -> None:
    scores = scorer(make_artefact(), "cpu").embed_and_score(
        some_ecgs(), clinical_values([None] * 9, [None] * 9)
    )
    assert np.isfinite(scores.probabilities).all()
    assert np.isnan(scores.lower).all()
    assert np.isnan(scores.upper).all()
    assert np.isnan(scores.novelty).all()


def test_a_model_may_know_how_unlike_an_ecg_is_and_not_how_sure_its_score() -> None:
    sure = replace(make_certainty(), offsets=np.empty((0, 6, 32)), draws=())
    scores = scorer(make_artefact(certainty=sure), "cpu").embed_and_score(
        some_ecgs(), clinical_values([None] * 9, [None] * 9)
    )
    assert np.isnan(scores.lower).all()
    assert np.isfinite(scores.novelty).all()


def test_draws_and_offsets_that_do_not_fit_are_refused() -> None:
    artefact = make_artefact(certainty=make_certainty())
    fewer = artefact.manifest.calibration_draws[1:]
    changed = artefact.manifest.model_copy(update={"calibration_draws": fewer})
    with pytest.raises(ArtefactError, match=r"offsets \(40, 6, 32\) for 39 draws"):
        scorer(Artefact(changed, artefact.weights), "cpu")


def test_a_missing_tensor_is_refused() -> None:
    artefact = make_artefact(certainty=make_certainty())
    tensors = load(artefact.weights)
    del tensors[f"{CERTAINTY}mean"]
    with pytest.raises(ArtefactError, match="does not fit its manifest: 'mean'"):
        scorer(Artefact(artefact.manifest, save(tensors)), "cpu")


# --- unlike ECGs --------------------------------------------------------------------------------------------


def sample(count: int, seed: int) -> NDArray[np.float32]:
    """Projections of a population: correlated, and far from normal."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).standard_normal((32, 32))
    return (rng.standard_t(6, (count, 32)) @ mixing + 3).astype(np.float32)


def referred(count: int, seed: int) -> Referred:
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((count, 6))
    return Referred(logits, drawn_labels(rng, logits), np.arange(count), np.ones(count))


def of_population(held_out: int) -> Certainty:
    held = referred(120, 1)
    others = Sample(sample(held_out, 2), np.ones(held_out))
    return certainty_of(sample(600, 3), held, sample(120, 4), others, ())


def test_one_in_a_hundred_sound_ecgs_is_said_to_be_unlike_and_odd_ones_are() -> None:
    sure = of_population(2000)
    novelty = sure.novelty(sure.coordinates(sample(20_000, 5)))
    assert 0.006 < (novelty >= UNLIKE_PERCENT).mean() < 0.015
    assert abs(np.median(novelty) - 50) < 4
    rare = np.linalg.svd(np.random.default_rng(0).standard_normal((32, 32)))[2][-1]
    odd = sample(50, 6) + 6 * rare.astype(np.float32)  # short, where training ECGs hardly vary
    assert (sure.novelty(sure.coordinates(odd)) >= UNLIKE_PERCENT).all()


def test_held_out_ecgs_count_by_their_weight() -> None:
    near, far = sample(300, 8), sample(300, 9) * 3
    both = np.concatenate([near, far])
    light = certainty_of(
        sample(600, 3), referred(120, 1), sample(120, 4), Sample(both, np.repeat([1.0, 1e-6], 300)), ()
    )
    heavy = certainty_of(sample(600, 3), referred(120, 1), sample(120, 4), Sample(both, np.ones(600)), ())
    asked = light.coordinates(sample(500, 10))
    assert abs(light.novelty(asked).mean() - 50) < 4
    assert heavy.novelty(asked).mean() < 35


def test_too_few_held_out_ecgs_cannot_tell_what_is_unlike() -> None:
    sure = of_population(MIN_ECGS - 1)
    assert np.isnan(sure.novelty(np.zeros((3, 32)))).all()
    assert np.isfinite(of_population(MIN_ECGS).novelty(np.zeros((3, 32)))).all()


# --- the error of a model -----------------------------------------------------------------------------------


def drawn_labels(rng: np.random.Generator, logits: Reals) -> NDArray[np.float32]:
    yes = rng.random(logits.shape) < expit(logits)
    degrees = np.cumprod(yes[:, :4], axis=1)
    right = degrees[:, 1] * yes[:, 4]
    left = degrees[:, 1] * (1 - right * (1 - yes[:, 5]))
    return np.column_stack([degrees, right, left]).astype(np.float32)


class World(NamedTuple):
    """Held-out patients of a model whose logits err by a known line; further people with their true risk."""

    held: Referred
    of_held: NDArray[np.float32]
    logits: Reals
    projections: NDArray[np.float32]
    risk: Reals

    def certainty(self, draws: int = 100) -> Certainty:
        rng = np.random.default_rng(0)
        train = rng.standard_normal((600, 32)).astype(np.float32)
        others = Sample(rng.standard_normal((300, 32)).astype(np.float32), np.ones(300))
        return certainty_of(train, self.held, self.of_held, others, (as_referred(),) * draws)


def as_referred() -> Calibration:
    return Calibration(severity_weights=(1.0,) * 5)


def world(error: float, seed: int, patients: int = 300) -> World:
    rng = np.random.default_rng(seed)
    line = rng.normal(0, error / 32**0.5, (32, 6))
    places = rng.standard_normal((patients + 1000, 32))
    logits = rng.normal(0, 0.8, (patients + 1000, 6))
    truth = logits + places @ line
    labels = drawn_labels(rng, truth[:patients])
    held = Referred(logits[:patients], labels, np.arange(patients), np.ones(patients))
    short = places.astype(np.float32)
    risk = probabilities(truth[patients:])[:, 1]
    return World(held, short[:patients], logits[patients:], short[patients:], risk)


def coverage(drawn: World) -> tuple[float, float]:
    """Share of people whose interval of stenosis_70 holds their risk, and the mean width."""
    sure = drawn.certainty()
    lower, upper = sure.interval(drawn.logits, sure.coordinates(drawn.projections))
    holds = (lower[:, 1] <= drawn.risk) & (drawn.risk <= upper[:, 1])
    return float(holds.mean()), float((upper - lower)[:, 1].mean())


@pytest.mark.parametrize("error", [0.3, 0.8])
def test_intervals_hold_the_true_risk_of_people(error: float) -> None:
    held = [coverage(world(error, seed))[0] for seed in range(5)]
    assert np.mean(held) > 0.95


def test_a_model_that_errs_more_has_wider_intervals() -> None:
    widths = [np.mean([coverage(world(error, seed))[1] for seed in range(3)]) for error in (0.0, 1.2)]
    assert widths[1] > 1.4 * widths[0]


def test_more_patients_make_a_good_model_surer() -> None:
    few, many = (coverage(world(0.0, 1, patients))[1] for patients in (150, 2000))
    assert many < 0.6 * few


def test_the_width_of_the_error_is_found() -> None:
    found = []
    for error in (0.1, 1.2):
        drawn = world(error, 2, 1500)
        chance, fits = width_posterior(drawn.held, drawn.of_held.astype(np.float64))
        assert len(fits) == len(WIDTHS)
        found.append(float(chance @ WIDTHS))
    assert found[0] < 0.35
    assert 0.9 < found[1] < 1.5


def test_too_few_patients_or_no_draws_give_no_interval() -> None:
    for drawn, draws in ((world(0.3, 1, 49), 100), (world(0.3, 1), 0)):
        sure = drawn.certainty(draws)
        assert np.isnan(sure.interval(np.zeros((2, 6)), np.zeros((2, 32)))[0]).all()
        assert sure.draws == ()


def test_several_ecgs_of_a_patient_are_no_more_evidence_than_one() -> None:
    drawn = world(0.3, 4)
    twice = Referred(*(np.concatenate([column, column]) for column in drawn.held))
    doubled = drawn._replace(
        held=twice._replace(weights=twice.weights / 2),
        of_held=np.concatenate([drawn.of_held, drawn.of_held]),
    )
    np.testing.assert_allclose(doubled.certainty().offsets, drawn.certainty().offsets, atol=1e-6)


def test_groups_of_test_patients_show_a_model_that_is_wrong() -> None:
    drawn = world(0.0, 5)
    sure = drawn.certainty()
    sure = replace(sure, draws=(Calibration(severity_weights=POPULATION),) * len(sure.draws))
    places = sure.coordinates(drawn.projections)
    cases = (np.random.default_rng(6).random(len(drawn.risk)) < drawn.risk).astype(np.float32)
    assert groups_held(sure, drawn.logits, places, cases) >= 4
    assert groups_held(sure, drawn.logits, places, 1 - cases) <= 2


def test_patients_of_unknown_outcome_are_asked_nothing() -> None:
    drawn = world(0.3, 7)
    unknown = drawn.held._replace(labels=np.full_like(drawn.held.labels, np.nan))
    sure = drawn._replace(held=unknown).certainty()
    assert np.isfinite(sure.offsets).all()
