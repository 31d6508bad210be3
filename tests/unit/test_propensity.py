"""Who is likely to be sent to the catheter laboratory, and what an outcome therefore counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from stence.evaluation.propensity import (
    People,
    covariates,
    effective_sample_size,
    inverse,
    propensities,
)


def people(count: int = 3000, seed: int = 0) -> tuple[People, NDArray[np.float64]]:
    """People of whom symptoms, flag and age send some, and how likely each was to be sent."""
    rng = np.random.default_rng(seed)
    probabilities = rng.beta(2, 6, size=(count, 6))
    flagged = probabilities.max(axis=1) > 0.6
    age = rng.normal(63, 12, count)
    pain = rng.random(count) < 0.4
    chance = expit(-2.4 + 1.8 * pain + 1.2 * flagged - 0.3 * ((age - 65) / 10) ** 2)
    return (
        People(
            probabilities,
            flagged,
            rng.choice([1, 2], size=count),
            age,
            rng.choice(["F", "M", ""], size=count),
            [frozenset({"chest pain"} if hurts else {"check-up"}) for hurts in pain],
            rng.choice(["north", "south"], size=count),
            rng.random(count) < chance,
        ),
        chance,
    )


def estimated(known: People) -> NDArray[np.float64]:
    """Of those who were sent, from everybody once."""
    ((_, found),) = propensities(known, [np.ones((1, len(known.referred)))])
    return np.asarray(found[0])


def test_it_finds_how_likely_each_was_to_be_sent() -> None:
    known, chance = people(8000)
    found = estimated(known)
    assert np.abs(found - chance[known.referred]).mean() < 0.03
    assert np.corrcoef(found, chance[known.referred])[0, 1] > 0.95


def test_the_weighted_outcomes_look_like_everybody() -> None:
    known, _ = people(8000)
    weights = inverse(estimated(known)[None])[0]
    assert weights.mean() == pytest.approx(1)
    pain = np.array(["chest pain" in reasons for reasons in known.indications])
    for trait in (pain, known.flagged, known.probabilities[:, 0] > 0.3):
        everybody, referred = trait.mean(), trait[known.referred].mean()
        weighted = np.average(trait[known.referred], weights=weights)
        assert abs(weighted - everybody) < 0.02
        assert abs(weighted - everybody) <= abs(referred - everybody)


def test_nobody_learns_from_people_who_were_not_drawn() -> None:
    known, _ = people(1500)
    half = np.arange(1500) < 750
    drawn = half[None].astype(float)
    turned = replace(known, referred=np.where(half, known.referred, True))
    ((_, ours),) = propensities(known, [drawn])
    ((_, theirs),) = propensities(turned, [drawn])
    both = known.referred & half
    np.testing.assert_allclose(ours[0][both[known.referred]], theirs[0][both[turned.referred]], atol=1e-4)


def test_it_stands_what_is_unknown() -> None:
    known, _ = people(400)
    blank = np.full(400, "")
    nothing = replace(
        known,
        age=np.full(400, np.nan),
        sex=blank,
        site=blank,
        indications=[frozenset[str]()] * 400,
        probabilities=np.zeros((400, 6)),
        flagged=np.zeros(400, dtype=bool),
    )
    found = estimated(nothing)
    np.testing.assert_allclose(found, known.referred.mean(), atol=0.05)


def test_a_site_where_everybody_is_sent_does_no_harm() -> None:
    known, _ = people(600)
    site = np.where(known.referred, "north", "south")
    found = estimated(replace(known, site=site))
    assert np.isfinite(found).all()
    assert ((found > 0) & (found < 1)).all()


@pytest.mark.parametrize(("chance", "stands_for"), [(0.04, 25), (0.021, 1 / 0.021), (0.019, 50), (1e-9, 50)])
def test_no_outcome_counts_for_more_than_fifty_people(chance: float, stands_for: float) -> None:
    weights = inverse(np.array([[chance, 1.0]]))
    assert weights[0, 0] / weights[0, 1] == pytest.approx(stands_for)


def test_outcomes_of_every_resample_count_one_on_average() -> None:
    weights = inverse(np.array([[0.1, 0.5, 0.5], [0.9, 0.3, 0.3]]))
    assert weights.mean(axis=1) == pytest.approx([1, 1])


def test_nobodys_probability_learns_from_whether_they_were_sent_themselves() -> None:
    known, _ = people(900)
    person = np.flatnonzero(known.referred)[5]
    often = np.ones((1, 900))
    often[0, person] = 200
    ((_, once),) = propensities(known, [np.ones((1, 900))])
    ((_, found),) = propensities(known, [often])
    assert found[0, 5] == once[0, 5]
    assert (found[0] != once[0]).any()


def test_an_indication_of_thirty_people_has_a_term_of_its_own_and_one_of_fewer_none() -> None:
    known, _ = people(600)
    widths = [
        covariates(
            replace(known, indications=[frozenset({"syncope"} if n < count else ()) for n in range(600)])
        )
        for count in (0, 29, 30)
    ]
    none, fewer, thirty = (width.shape[1] for width in widths)
    assert none == fewer < thirty


def test_the_effective_sample_size_is_kishs() -> None:
    assert effective_sample_size(np.full(40, 3.0)) == pytest.approx(40)
    assert effective_sample_size(np.array([1.0, 0, 0])) == 1
    assert effective_sample_size(np.array([2.0, 1.0, 1.0])) == pytest.approx(16 / 6)
    assert effective_sample_size(np.zeros(3)) == 0
