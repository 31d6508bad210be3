"""Mean scores of days: a sound day is sound whatever its kind and its patients, and a shift is found."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from scipy import stats

from stence.evaluation.watched import Watched
from stence.monitoring import score_shifts
from stence.monitoring.metrics import Metric
from stence.monitoring.profile import Profile
from stence.monitoring.samples import ALL
from stence.monitoring.score_days import CHART_DAYS, TOGETHER, ScoreDays, Usual
from support.drawn_days import REFERENCE_DAYS, World, as_score_days, draw, reference

MODEL = Watched("m", "champion", "p", {"thresholds": {}})
MONDAY, SATURDAY = REFERENCE_DAYS, REFERENCE_DAYS + 5
OUTPATIENTS = World(sites=1, outpatients=0.6)


def compared(
    world: World, numbers: list[int], shift: float = 0.0, seed: int = 0
) -> dict[tuple[str, str | None], Metric]:
    """The metrics of the last of some days of a world, by name and slice."""
    rng = np.random.default_rng(seed)
    return judged(rng, world, reference(rng, world), numbers, shift)


def judged(
    rng: np.random.Generator, world: World, profile: Profile, numbers: list[int], shift: float = 0.0
) -> dict[tuple[str, str | None], Metric]:
    days = [draw(rng, world, number, shift) for number in numbers]
    metrics = score_shifts.compare(profile, as_score_days(days), days[-1].day, MODEL)
    return {(metric.name, metric.slice_value): metric for metric in metrics}


def usual(world: World, seed: int = 0) -> Usual:
    profile = reference(np.random.default_rng(seed), world)
    assert profile.score_days is not None
    return Usual(profile.score_days, profile.sample.part(ALL).scores)


def test_a_weekend_is_compared_with_weekends() -> None:
    """On which no outpatients come: by the former test, p was below .001 on 19 of 20 such days."""
    found = [compared(OUTPATIENTS, [SATURDAY], seed=seed) for seed in range(8)]
    assert min(each["score_mean_p", None].value for each in found) > 0.01
    assert found[0]["score_like_days", None].value == 8
    assert compared(OUTPATIENTS, [MONDAY])["score_like_days", None].value == 20


def test_a_shift_is_found_at_a_weekend_too() -> None:
    found = compared(OUTPATIENTS, [SATURDAY], shift=0.5)
    assert found["score_shift", None].value == pytest.approx(0.5, abs=0.2)
    assert found["score_mean_p", None].value < 1e-3
    assert found["score_mean_p", "stenosis_70"].value < 1e-3


def test_the_variance_between_days_is_found_and_part_of_the_test() -> None:
    """Days whose patients differ by .2 SD: a shift of .3 is no news there, and is where days are alike."""
    calm, restless = usual(World()), usual(World(case_mix=0.2))
    assert calm.between[TOGETHER] < 0.01
    assert 0.01 < restless.between[TOGETHER] < 0.09
    found = restless.shift(
        as_score_days([draw(np.random.default_rng(1), World(), MONDAY)]), date(2026, 3, 30)
    )
    assert found is not None
    assert found.own[TOGETHER] == pytest.approx(restless.between[TOGETHER] + 1 / found.ecgs)
    assert compared(World(), [MONDAY], shift=0.3)["score_mean_p", None].value < 1e-3
    assert compared(World(case_mix=0.2), [MONDAY], shift=0.3)["score_mean_p", None].value > 1e-3


@pytest.mark.slow
def test_p_is_uniform_on_sound_days_that_differ_among_themselves() -> None:
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        world = World(100, case_mix=0.1)
        profile = reference(rng, world)
        found += [
            judged(rng, world, profile, [day])["score_mean_p", None].value for day in (MONDAY, SATURDAY)
        ]
    assert stats.kstest(found, "uniform").pvalue > 0.001
    assert np.mean(np.array(found) < 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(found))


def test_a_slow_drift_is_in_the_moving_average_before_a_single_day_tells() -> None:
    days = list(range(MONDAY, MONDAY + 21))
    found = compared(World(case_mix=0.1), days, shift=0.2, seed=3)
    assert found["score_ewma_p", None].value < 1e-3 < found["score_mean_p", None].value
    assert 0.1 < found["score_ewma", None].value < 0.25
    assert compared(World(case_mix=0.1), days, seed=3)["score_ewma_p", None].value > 0.01


def test_the_error_of_the_reference_does_not_average_out() -> None:
    """However many days follow, their average is no surer than the mean with which it is compared."""
    known = usual(World(case_mix=0.1))
    shift = known.shift(as_score_days([draw(np.random.default_rng(1), World(), MONDAY)]), date(2026, 3, 30))
    assert shift is not None
    average = known.moving([shift] * CHART_DAYS)
    half = (average.upper - average.lower)[TOGETHER] / 2
    variance = 0.0526 * shift.own[TOGETHER] + 0.9945 * shift.expected[TOGETHER]
    assert half == pytest.approx(stats.t.isf(0.025, known.freedom) * np.sqrt(variance), rel=1e-3)


def test_a_site_that_the_reference_hardly_knows_is_left_out_and_named() -> None:
    found = compared(World(2_000, sites=2, rare=3), [MONDAY], shift=0.3)
    left_out = found["score_left_out", "C"]
    assert (left_out.slice_key, left_out.count) == ("site", 3)
    assert left_out.value == pytest.approx(0.1, abs=0.02)
    assert found["score_mean_p", None].value < 1e-3


def test_too_few_days_of_a_kind_say_nothing() -> None:
    """A reference without weekends does not judge a Saturday, one with a single weekend day neither."""
    rng = np.random.default_rng(0)
    profile = reference(rng, World())
    assert profile.score_days is not None
    for weekends in (0, 1):
        days = profile.score_days
        few = replace(
            profile,
            score_days=days.among(
                ~days.weekend() | (days.days == np.datetime64("2026-03-07")) * bool(weekends)
            ),
        )
        found = judged(rng, World(), few, [SATURDAY])
        assert {name: metric.value for (name, _), metric in found.items()} == {"score_like_days": weekends}
        assert ("score_mean_p", None) in judged(rng, World(), few, [MONDAY])


def test_a_profile_without_means_of_days_says_nothing() -> None:
    rng = np.random.default_rng(0)
    profile = replace(reference(rng, World()), score_days=None)
    assert [name for name, _ in judged(rng, World(), profile, [MONDAY])] == ["score_like_days"]


def test_the_shift_is_in_standard_deviations_of_single_scores_place_by_place() -> None:
    """By hand, one target alone differing: two sites whose shares change, and whose means do not."""
    days = np.repeat(np.arange("2026-03-02", "2026-03-06", dtype="datetime64[D]"), 2)
    means = np.full((8, 6), 0.5)
    means[::2, 0] = 0.2
    before = ScoreDays(days, np.tile(["A", "B"], 4), np.full(8, 100), means)
    scores = np.random.default_rng(0).normal(0.5, 0.1, size=(400, 6))
    here = means[:2] + np.array([0.05, *[0.0] * 5])
    monday = date(2026, 3, 9)
    today = ScoreDays(
        np.array([monday] * 2, dtype="datetime64[D]"), np.array(["A", "B"]), np.array([300, 50]), here
    )
    shift = Usual(before, scores).shift(today, monday)
    assert shift is not None
    assert shift.value[0] == pytest.approx(0.05 / scores[:, 0].std())
    assert shift.value[1] == pytest.approx(0)
    assert shift.own[0] == pytest.approx(1 / 350)


def test_profiles_with_and_without_the_new_fields_are_read() -> None:
    profile = reference(np.random.default_rng(0), World(50))
    stored = profile.json()
    again = Profile.of_json(stored)
    assert again.score_days is not None
    np.testing.assert_array_equal(again.score_days.days, profile.score_days.days)
    np.testing.assert_array_equal(again.sample.weekend, profile.sample.weekend)
    monday = date(2026, 3, 2) + timedelta(days=MONDAY)
    assert 0 < len(again.sample.like(monday)) < len(again.sample)
    old = Profile.of_json(
        {name: value for name, value in stored.items() if name not in ("weekend", "score_days")}
    )
    assert old.score_days is None
    assert len(old.sample.like(monday)) == len(old.sample)
