"""Distances between two samples, and the probability of such a distance by chance.

A distance says whether a change matters, a p-value says whether the change is real. An alert asks for both.
This module knows nothing of ECGs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import cdist

from stence.evaluation.multiplicity import holm as holm  # noqa: PLC0414 (re-exported)

BINS = 10
_HALF = 0.5
"""Added to every count, so that an empty bin has a logarithm (Jeffreys' prior)."""
_FEW_EXCEED = 10
"""Minimum number of permutations beyond the value. With fewer, p comes from a fitted distribution."""


class Distance(NamedTuple):
    """A distance, and the probability of at least this distance by chance."""

    value: float
    p: float


class Estimate(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    lower: float
    upper: float


def kolmogorov_smirnov(reference: NDArray[np.float64], sample: NDArray[np.float64]) -> Distance:
    """The largest distance (0 to 1) between two empirical distributions, and its p (Smirnov 1939).

    Both (n,), at least one value each. Ties, for example of rounded values, make p too large, never too
    small.
    """
    found = stats.ks_2samp(reference, sample, method="asymp")
    return Distance(float(found.statistic), float(found.pvalue))


def population_stability(reference: NDArray[np.float64], sample: NDArray[np.float64]) -> float:
    """The population stability index over the reference's deciles, less its bias: see ``stability``."""
    edges = np.unique(np.quantile(reference, np.arange(1, BINS) / BINS))
    counts = [
        np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
        for values in (reference, sample)
    ]
    return stability(*counts)


def category_stability(reference: Mapping[str, int], sample: Mapping[str, int]) -> float:
    """The population stability index over categories, including categories of one side only."""
    names = list(dict.fromkeys([*reference, *sample]))
    return stability(*(np.array([side.get(name, 0) for name in names]) for side in (reference, sample)))


def category_shift(strata: Iterable[tuple[Mapping[str, int], Mapping[str, int]]]) -> float:
    """p of G-tests, added up: in every stratum both counts of categories come from the same shares.

    The strata may differ in size between the sample and the reference (Sokal & Rohlf 1981, replicated
    G-tests). 1 where there is nothing to compare.
    """
    statistic, freedom = 0.0, 0
    for reference, sample in strata:
        names = list(dict.fromkeys([*reference, *sample]))
        if len(names) > 1 and reference and sample:
            table = np.array([[side.get(name, 0) for name in names] for side in (reference, sample)])
            found = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
            statistic, freedom = statistic + float(found.statistic), freedom + int(found.dof)
    return float(stats.chi2.sf(statistic, freedom)) if freedom else 1.0


def stability(reference: NDArray[np.int64], sample: NDArray[np.int64]) -> float:
    """Σ (q - p) ln(q / p) over bins (b,) of two counts, less its mean for samples of one distribution.

    For samples of m and n from one distribution the index is about χ² (1/m + 1/n) with b - 1 degrees of
    freedom (Yurdakul & Naranjo 2020). Small samples alone would cross the customary bounds 0.1 and 0.25.
    After subtraction of the mean, the index varies about 0 and may be negative. Bins that are empty in both
    counts are left out.
    """
    seen = reference + sample > 0
    smoothed = [counts[seen] + _HALF for counts in (reference, sample)]
    p, q = (counts / counts.sum() for counts in smoothed)
    bias = (len(p) - 1) * sum(1 / counts.sum() for counts in smoothed)
    return float(((q - p) * np.log(q / p)).sum() - bias)


def maximum_mean_discrepancy(
    reference: NDArray[np.float64], sample: NDArray[np.float64], permutations: int, seed: int
) -> Distance:
    """MMD² between points (m, d) and (n, d): unbiased, Gaussian kernel as wide as the median distance.

    Gretton et al. 2012, Lemma 6. p is the share of random divisions of all points that lie at least as far
    apart. If fewer than ten of the ``permutations`` do, p comes from a Pearson type III distribution with
    their first three moments (Minas & Montana 2014). p can then be smaller than one over the number of
    permutations. The function holds a few matrices of (m + n)² numbers.
    """
    points = np.concatenate([reference, sample])
    distances = cdist(points, points, "sqeuclidean")
    width = float(np.median(distances[np.triu_indices(len(points), 1)])) or 1.0
    kernel = np.exp(-distances / width)
    np.fill_diagonal(kernel, 0)
    members = np.zeros((len(points), permutations + 1))
    members[: len(reference), 0] = 1
    rng = np.random.default_rng(seed)
    members[:, 1:] = rng.permuted(np.repeat(members[:, :1], permutations, axis=1), axis=0)
    values = _discrepancies(kernel, members)
    return Distance(float(values[0]), _tail(float(values[0]), values[1:]))


def _discrepancies(kernel: NDArray[np.float64], members: NDArray[np.float64]) -> NDArray[np.float64]:
    """MMD² (k,) of each division; ``members`` (n, k) is 1 for points of the first sample."""
    m, n = members[:, 0].sum(), (1 - members[:, 0]).sum()
    to_first = kernel @ members
    within_first = (members * to_first).sum(axis=0)
    across = ((1 - members) * to_first).sum(axis=0)
    within_second = kernel.sum() - within_first - 2 * across
    return within_first / (m * (m - 1)) + within_second / (n * (n - 1)) - 2 * across / (m * n)


def _tail(value: float, drawn: NDArray[np.float64]) -> float:
    exceeding = int((drawn >= value).sum())
    if exceeding >= _FEW_EXCEED or drawn.std() == 0:
        return (1 + exceeding) / (1 + len(drawn))
    return float(stats.pearson3.sf(value, stats.skew(drawn), drawn.mean(), drawn.std(ddof=1)))


def dispersion(groups: Sequence[NDArray[np.int64]]) -> float:
    """Variance of each group's counts about its mean, relative to a Poisson distribution; at least 1."""
    squares = sum(((group - group.mean()) ** 2).sum() / group.mean() for group in groups if group.any())
    freedom = sum(len(group) - 1 for group in groups if group.any())
    return max(1.0, float(squares) / freedom) if freedom else 1.0


def so_few(count: int, before: NDArray[np.int64], overdispersion: float) -> float:
    """Probability of ``count`` or fewer, where the mean is known from the counts ``before`` (k,) only.

    The distribution is a negative binomial with variance mean · overdispersion · (1 + 1/k). It is wider than
    a Poisson distribution by ``overdispersion``, and by the uncertainty of a mean of k counts.
    """
    mean = float(before.mean())
    if mean == 0:
        return 1.0
    ratio = overdispersion * (1 + 1 / len(before))
    return float(stats.nbinom.cdf(count, mean / (ratio - 1), 1 / ratio))


def so_many(count: int, of: int, share: float) -> float:
    """Probability of ``count`` or more among ``of`` trials with probability ``share``: binomial."""
    return float(stats.binom.sf(count - 1, of, share))


def proportion(count: int, of: int) -> Estimate:
    """A share with its exact interval (Clopper & Pearson 1934); ``of`` is at least 1."""
    interval = stats.binomtest(count, of).proportion_ci(0.95)
    return Estimate(count / of, float(interval.low), float(interval.high))


def mean(sample: NDArray[np.float64]) -> Estimate:
    """The mean of at least two values, with the interval of a normal mean."""
    value = float(sample.mean())
    half = 1.96 * float(sample.std(ddof=1)) / float(np.sqrt(len(sample)))
    return Estimate(value, value - half, value + half)
