"""Who is likely to be sent to the catheter laboratory, and what an outcome therefore counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from stence.evaluation.outcome_weights import effective_sample_size, inverse, top_share
from stence.evaluation.propensity import People, covariates, propensities


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
            [{"chest pain" if hurts else "check-up": 1} for hurts in pain],
            rng.choice(["north", "south"], size=count),
            rng.random(count) < chance,
            np.zeros(count, dtype=bool),
            np.zeros(count),
        ),
        chance,
    )


def estimated(known: People) -> NDArray[np.float64]:
    """Of those who were sent."""
    return propensities(known).value[known.referred]


def test_it_finds_how_likely_each_was_to_be_sent() -> None:
    known, chance = people(8000)
    found = estimated(known)
    assert np.abs(found - chance[known.referred]).mean() < 0.03
    assert np.corrcoef(found, chance[known.referred])[0, 1] > 0.95


def test_each_ecg_taken_for_pain_is_a_further_occasion() -> None:
    """One to eight ECGs, each for a reason of its own: the more of them for pain, the likelier."""
    rng = np.random.default_rng(11)
    known, _ = people(8000)
    ecgs = rng.integers(1, 9, 8000)
    pains = rng.binomial(ecgs, 0.4)
    chance = 1 - (1 - expit(-1.0)) ** pains * (1 - expit(-3.5)) ** (ecgs - pains)
    reasons = [
        {"chest pain": int(pain), "check-up": int(of - pain)} for pain, of in zip(pains, ecgs, strict=True)
    ]
    sent, none = rng.random(8000) < chance, np.zeros(8000, dtype=np.int64)
    found = propensities(replace(known, ecgs=ecgs, indications=reasons, flags=none, referred=sent)).value
    for times in range(6):
        assert found[pains == times].mean() == pytest.approx(chance[pains == times].mean(), abs=0.04)
    assert np.abs(found - chance).mean() < 0.03


def test_the_weighted_outcomes_look_like_everybody() -> None:
    known, _ = people(8000)
    weights = inverse(estimated(known))
    assert weights.mean() == pytest.approx(1)
    pain = np.array(["chest pain" in reasons for reasons in known.indications])
    for trait in (pain, known.flags, known.probabilities[:, 0] > 0.3):
        everybody, referred = trait.mean(), trait[known.referred].mean()
        weighted = np.average(trait[known.referred], weights=weights)
        assert abs(weighted - everybody) < 0.02
        assert abs(weighted - everybody) <= abs(referred - everybody)


def test_nobody_learns_from_people_without_the_time_to_be_sent() -> None:
    known, _ = people(1500)
    half = np.arange(1500) < 750
    turned = replace(known, referred=np.where(half, known.referred, True))
    ours, theirs = propensities(known, half), propensities(turned, half)
    shown = known.referred[half].mean()
    assert ours.value[half].mean() == pytest.approx(shown, abs=0.005), "a fit that diverged is equal, too"
    np.testing.assert_allclose(ours.value, theirs.value, atol=1e-9)


def test_the_draw_of_the_verification_sample_is_averaged_over() -> None:
    """One in ten is drawn and examined; the others are sent by chance: 1 - .9 (1 - e) have one."""
    known, chance = people(20_000, 3)
    drawn = np.random.default_rng(5).random(20_000) < 0.1
    found = propensities(
        replace(known, referred=known.referred | drawn, drawn=drawn, chance=np.full(20_000, 0.1))
    )
    assert np.abs(found.value - (1 - (1 - chance) * 0.9)).mean() < 0.03
    assert np.quantile(found.value, 0.02) > 0.1


def test_it_stands_what_is_unknown() -> None:
    known, _ = people(400)
    blank = np.full(400, "")
    nothing = replace(
        known,
        age=np.full(400, np.nan),
        sex=blank,
        site=blank,
        indications=[{}] * 400,
        probabilities=np.zeros((400, 6)),
        flags=np.zeros(400, dtype=np.int64),
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
    weights = inverse(np.array([chance, 1.0]))
    assert weights[0] / weights[1] == pytest.approx(stands_for)


def test_outcomes_count_one_on_average() -> None:
    assert inverse(np.array([0.1, 0.5, 0.5])).mean() == pytest.approx(1)


def test_an_indication_of_thirty_people_has_a_term_of_its_own_and_one_of_fewer_none() -> None:
    known, _ = people(600)
    widths = [
        covariates(replace(known, indications=[{"syncope": 1} if n < count else {} for n in range(600)]))
        for count in (0, 29, 30)
    ]
    none, fewer, thirty = (width.shape[1] for width in widths)
    assert none == fewer < thirty


def test_the_effective_sample_size_is_kishs() -> None:
    assert effective_sample_size(np.full(40, 3.0)) == pytest.approx(40)
    assert effective_sample_size(np.array([1.0, 0, 0])) == 1
    assert effective_sample_size(np.array([2.0, 1.0, 1.0])) == pytest.approx(16 / 6)
    assert effective_sample_size(np.zeros(3)) == 0


def test_the_largest_hundredth_of_the_weights_and_at_least_one_is_the_top() -> None:
    assert top_share(np.r_[np.full(198, 1.0), 51.0, 51.0]) == pytest.approx(102 / 300)
    assert top_share(np.array([3.0, 1.0])) == pytest.approx(0.75)
