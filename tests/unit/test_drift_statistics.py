"""The statistics of drift: right values where they are known, right error rates where they are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from stence.monitoring import inputs, statistics
from stence.monitoring.samples import ALL, MEASURED, MEASURES, Sample, Slice, alike, comparable, left_out


def rng(seed: int = 0) -> np.random.Generator:
    """A generator of its own for each test."""
    return np.random.default_rng(seed)


def test_stability_is_about_zero_between_equals() -> None:
    """Whatever the sizes: no threshold is crossed for want of ECGs alone."""
    for m, n in ((4000, 400), (4000, 40), (300, 30)):
        drawn = rng(m + n)
        values = [
            statistics.population_stability(drawn.normal(size=m), drawn.normal(size=n)) for _ in range(400)
        ]
        assert abs(np.mean(values)) < 0.015 + 3 * np.std(values) / 20


def test_stability_of_a_known_shift() -> None:
    """Of normal distributions half a standard deviation apart: δ² = 0.25, a little less over deciles."""
    drawn = rng()
    value = statistics.population_stability(drawn.normal(size=200_000), drawn.normal(0.5, size=200_000))
    edges = stats.norm.ppf(np.arange(0, 1.01, 0.1))
    p, q = np.diff(stats.norm.cdf(edges)), np.diff(stats.norm.cdf(edges - 0.5))
    assert value == pytest.approx(((q - p) * np.log(q / p)).sum(), rel=0.02)
    assert 0.22 < value < 0.25


def test_stability_counts_by_the_deciles_of_the_reference() -> None:
    """By hand: a hundred in the first tenth and a hundred in the last, where it has four hundred in each."""
    found = statistics.population_stability(np.arange(4000.0), np.repeat([150.0, 3900.0], 100))
    by_hand = statistics.stability(np.full(10, 400), np.array([100, *[0] * 8, 100]))
    assert found == pytest.approx(by_hand)


def test_stability_of_a_measure_with_one_value() -> None:
    """One bin: nothing to compare, no error."""
    assert statistics.population_stability(np.zeros(50), np.zeros(40)) == 0


def test_stability_counts_an_unseen_category() -> None:
    """A category that only one side knows moves the index; the same shares in other numbers do not."""
    seen = {"a": 700, "b": 300}
    assert abs(statistics.category_stability(seen, {"a": 70, "b": 30})) < 0.02
    assert statistics.category_stability(seen, {"a": 60, "b": 20, "c": 20}) > 0.5


def test_categories_are_compared_place_by_place() -> None:
    """Other shares of the places are no shift; other shares within one are. Level held at small counts."""
    wards, clinic = {"pain": 800, "check-up": 200}, {"pain": 100, "check-up": 400}
    mixed = [(wards, {"pain": 160, "check-up": 40}), (clinic, {"pain": 2, "check-up": 8})]
    assert statistics.category_shift(mixed) > 0.9
    moved = (clinic, {"pain": 30, "check-up": 30})
    assert statistics.category_shift([*mixed[:1], moved]) < 1e-4
    assert statistics.category_shift([moved, *mixed[:1]]) < 1e-4
    assert statistics.category_shift([({"a": 9}, {"a": 3}), ({"a": 9, "b": 3}, {})]) == 1
    drawn = rng(10)
    p = []
    for _ in range(1000):
        counts = (drawn.multinomial(n, (0.5, 0.4, 0.1)).tolist() for n in (3000, 60))
        sides = [dict(zip("abc", of, strict=True)) for of in counts]
        p.append(statistics.category_shift([(sides[0], sides[1])]))
    assert np.mean(np.array(p) < 0.01) < 0.01 + 3 * np.sqrt(0.01 * 0.99 / 1000)


def test_kolmogorov_smirnov_is_the_largest_distance() -> None:
    """By hand: of 1..4 and 3..6, half of the first lie below all of the second."""
    found = statistics.kolmogorov_smirnov(np.arange(1.0, 5), np.arange(3.0, 7))
    assert found.value == 0.5


def test_kolmogorov_smirnov_keeps_its_level_and_follows_the_exact_test() -> None:
    """At the sizes of a day and of a device."""
    drawn = rng(1)
    a, b = drawn.normal(size=400), drawn.normal(0.4, size=60)
    ours, exact = statistics.kolmogorov_smirnov(a, b), stats.ks_2samp(a, b, method="exact")
    assert ours.value == pytest.approx(exact.statistic)
    assert ours.p == pytest.approx(exact.pvalue, rel=0.25)
    p = [statistics.kolmogorov_smirnov(drawn.normal(size=400), drawn.normal(size=40)).p for _ in range(1000)]
    assert np.mean(np.array(p) < 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)


def test_holm_by_hand() -> None:
    """Smallest times 3, next times 2, and never below the one before it."""
    assert statistics.holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert statistics.holm([0.9, 0.8]) == pytest.approx([1, 1])
    assert len(statistics.holm([])) == 0


def test_mmd_is_unbiased_as_defined() -> None:
    """Against the definition, pair by pair (Gretton et al. 2012, Lemma 6)."""
    drawn = rng(3)
    x, y = drawn.normal(size=(7, 3)), drawn.normal(1, 1, size=(5, 3))
    points = np.concatenate([x, y])
    squares = ((points[:, None] - points) ** 2).sum(axis=2)
    kernel = np.exp(-squares / np.median(squares[np.triu_indices(12, 1)]))
    xx = [kernel[i, j] for i in range(7) for j in range(7) if i != j]
    yy = [kernel[i, j] for i in range(7, 12) for j in range(7, 12) if i != j]
    expected = np.mean(xx) + np.mean(yy) - 2 * kernel[:7, 7:].mean()
    assert statistics.maximum_mean_discrepancy(x, y, 100, 0).value == pytest.approx(expected)


@pytest.mark.slow
def test_mmd_p_is_uniform_between_equals() -> None:
    """Its level holds at 5 % and at 1 %, where the fitted tail takes over from counting."""
    drawn = rng(4)
    p = np.array(
        [
            statistics.maximum_mean_discrepancy(
                drawn.normal(size=(80, 8)), drawn.normal(size=(40, 8)), 199, seed
            ).p
            for seed in range(500)
        ]
    )
    assert stats.kstest(p, "uniform").pvalue > 0.001
    assert (p < 0.05).mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 500)
    assert (p < 0.01).mean() < 0.01 + 3 * np.sqrt(0.01 * 0.99 / 500)


def test_mmd_sees_what_means_do_not() -> None:
    """The same mean and another spread; p far below one over the permutations; the same p at every look."""
    drawn = rng(5)
    x, y = drawn.normal(size=(300, 8)), 1.5 * drawn.normal(size=(200, 8))
    found = statistics.maximum_mean_discrepancy(x, y, 199, 7)
    assert found.value > 0.005
    assert found.p < 1e-4
    assert found == statistics.maximum_mean_discrepancy(x, y, 199, 7)


def test_so_few_is_poisson_where_much_is_known() -> None:
    """With very many counts before, all as Poisson has them, nothing but Poisson's tail is left."""
    before = rng(6).poisson(20, size=5000)
    expected = stats.poisson.cdf(8, before.mean())
    assert statistics.so_few(8, before, 1.0) == pytest.approx(expected, rel=0.02)
    assert statistics.so_few(8, before[:4], 1.0) > expected
    assert statistics.so_few(8, before, 2.0) > 3 * expected
    assert statistics.so_few(0, np.zeros(4, dtype=int), 1.0) == 1


def test_so_few_keeps_its_level_with_four_days_known() -> None:
    """Four Mondays say little about the fifth, and the tail allows for it."""
    drawn = rng(7)
    p = np.array(
        [statistics.so_few(int(drawn.poisson(50)), drawn.poisson(50, size=4), 1.0) for _ in range(4000)]
    )
    assert (p < 0.01).mean() < 0.01 + 3 * np.sqrt(0.01 * 0.99 / 4000)


def test_dispersion() -> None:
    """1 for Poisson counts, more for days that differ among themselves; 1 where nothing is known."""
    drawn = rng(8)
    assert statistics.dispersion([drawn.poisson(100, size=500)]) < 1.25
    assert statistics.dispersion([drawn.poisson(drawn.gamma(10, 10, size=500))]) == pytest.approx(
        11, rel=0.25
    )
    assert statistics.dispersion([np.array([3]), np.zeros(5, dtype=int)]) == 1


def test_so_many_and_proportion() -> None:
    """Known values of the binomial distribution."""
    assert statistics.so_many(3, 3, 0.5) == pytest.approx(0.125)
    assert statistics.so_many(0, 3, 0.5) == 1
    assert statistics.proportion(0, 10) == pytest.approx((0, 0, 0.3085), abs=1e-4)
    assert statistics.proportion(5, 10) == pytest.approx((0.5, 0.1871, 0.8129), abs=1e-4)


# --- the samples that are compared --------------------------------------------------------------------------


def sample(*places: tuple[str, str, int], seed: int = 0) -> Sample:
    """So many ECGs of each site and device."""
    sites, devices = ([place[n] for place in places for _ in range(place[2])] for n in range(2))
    measured = 1 + rng(seed).random((len(sites), len(MEASURED)))
    named = {"site": np.array(sites, dtype=str), "device": np.array(devices, dtype=str)}
    weekend = np.full(len(sites), np.nan)
    return Sample(named, measured, np.zeros((len(sites), 6)), np.full((len(sites), 32), np.nan), weekend)


@pytest.mark.parametrize(("before", "now", "compared"), [(30, 30, True), (29, 200, False), (200, 29, False)])
def test_thirty_ecgs_on_either_side_are_compared(before: int, now: int, compared: bool) -> None:
    found = [of for of, _, _ in comparable(sample(("ward", "a", before)), sample(("ward", "a", now)))]
    assert found == ([ALL, Slice("device", "a"), Slice("site", "ward")] if compared else [])


def test_of_the_reference_as_much_of_each_place_is_compared_as_the_day_has() -> None:
    """A place that the reference does not know is left out, one without a site goes by its device."""
    reference = sample(("ward", "a", 90), ("clinic", "b", 30), ("", "c", 60))
    day = sample(("ward", "a", 10), ("clinic", "b", 10), ("annexe", "a", 50), ("", "c", 5))
    before, now = alike(reference, day)
    assert dict(zip(*np.unique(before.strata(), return_counts=True), strict=True)) == {
        "ward": 30, "clinic": 30, "c": 15,
    }  # fmt: skip
    assert len(now) == 25


def test_the_derived_measures_are_the_mean_height_and_the_growth_of_r_from_lead_to_lead() -> None:
    one = sample(("ward", "a", 1))
    r, s = one.measured[0, 2:14], one.measured[0, 14:26]
    found = dict(zip(MEASURES, one.measures()[0].tolist(), strict=True))
    assert found["amplitude_mv"] == pytest.approx((r + s).mean())
    assert found["r_step.V1-V2"] == pytest.approx(np.log((r[7] + 0.02) / (r[6] + 0.02)))
    assert found["r_step.V5-V6"] == pytest.approx(np.log((r[11] + 0.02) / (r[10] + 0.02)))


def test_distances_of_a_day_are_adjusted_for_all_that_was_tested() -> None:
    reference, day = sample(("ward", "a", 60)), sample(("ward", "a", 60), seed=1)
    day.measured[:, 0] += 0.8
    metrics = list(inputs.distances(reference, day))
    tests = [metric for metric in metrics if metric.name == "input_ks"]
    assert len(tests) == 3 * len(MEASURES)
    raw = statistics.kolmogorov_smirnov(reference.measured[:, 0], day.measured[:, 0])
    (p,) = (m.value for m in metrics if (m.name, m.slice_value) == ("input_ks_p", "age"))
    assert raw.p < p / 100
    assert p == pytest.approx(raw.p * len(tests))


def test_a_stray_ecg_of_a_rare_site_leaves_the_reference_whole() -> None:
    """Site C has one ECG in the reference and a tenth of the day's: it is left out, and named."""
    reference, day = (
        sample(("A", "a", 1990), ("B", "a", 2009), ("C", "a", 1)),
        sample(("A", "a", 180), ("B", "a", 180), ("C", "a", 40)),
    )
    before, now = alike(reference, day)
    assert len(before) > 3900
    assert len(now) == 360
    assert list(left_out(reference, day)) == [(Slice("site", "C"), 1, 0.1)]


def test_small_places_are_pooled_and_a_scarce_one_does_not_shrink_the_reference() -> None:
    reference = sample(("A", "a", 3000), ("C", "a", 20), ("D", "a", 20), ("E", "a", 40))
    before, now = alike(reference, sample(("A", "a", 300), ("C", "a", 1), ("D", "a", 1)))
    assert set(now.strata()) == {"A", "C", "D"}
    assert len(before) > 3000
    before, now = alike(reference, sample(("A", "a", 300), ("E", "a", 100)))
    assert set(now.strata()) == {"A"}
    assert len(before) == 3000
