"""Propensity of referral to the catheter laboratory, and inverse propensity weights of outcomes.

Only referred people have a label. They differ from the others, because symptoms and the model's flags led to
the referral. With propensity e of referral, an outcome gets the weight 1/e (Horvitz & Thompson 1952; Robins,
Hernán & Brumback 2000). The weighted metrics are those of all people with a scored ECG, under two
assumptions:

- *No unmeasured confounding.* Among people with the same scores, flag, indication, age, sex, site and number
  of ECGs, referral does not depend on the arteries. Symptoms enter only through the recorded indication.
  Without recorded indications, metrics are corrected for flags and scores, but not for symptoms. They are
  never corrected for troponin or the doctor's impression.
- *Positivity.* Everybody might be referred. If people of a kind are rarely referred, few outcomes represent
  many people. So propensities below ``MIN_PROPENSITY`` are raised to it, and the effective sample size shows
  the loss.

A logistic regression (ridge penalty) gives e by cross-fitting: each third of the people gets e from the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

FOLDS = 3
PENALTY = 1.0
"""Ridge penalty of squared coefficients of standardised covariates."""
MIN_PROPENSITY = 0.02
"""Lower bound of the propensity. An outcome represents at most 50 people."""
RAREST = 30
"""Smallest number of people for a site or an indication with its own coefficient."""
FIRST_STEPS, FURTHER_STEPS = 12, 3
"""Steps of Newton's method: on all people, and from that result on a resample."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class People:
    """Covariates of people (n,) before referral, and their referral.

    ``probabilities`` (n, targets) are the highest over their ECGs, ``flagged`` is true if any ECG has a flag,
    ``ecgs`` is the number of ECGs. ``age`` is in years or NaN, ``sex`` F, M or empty, ``site`` empty if
    unknown. ``indications`` are all indications of a person.
    """

    probabilities: Floats
    flagged: NDArray[np.bool_]
    ecgs: NDArray[np.int64]
    age: Floats
    sex: NDArray[np.str_]
    indications: Sequence[frozenset[str]]
    site: NDArray[np.str_]
    referred: NDArray[np.bool_]


def propensities(people: People, weights: Iterable[Floats]) -> Iterator[tuple[Floats, Floats]]:
    """Yield each block of ``weights`` (r, n) with the propensities (r, s) of the s referred people.

    A row of ``weights`` holds the bootstrap counts of a resample. A propensity comes from a model of the
    other folds (cross-fitting), fitted to the people drawn in the resample.
    """
    x = covariates(people)
    fold = np.random.default_rng(0).permutation(len(x)) % FOLDS
    referred = np.flatnonzero(people.referred)
    learners = [_Regression(x[fold != k], people.referred[fold != k]) for k in range(FOLDS)]
    for drawn in weights:
        found = np.empty((len(drawn), len(referred)))
        for k, learner in enumerate(learners):
            mine = fold[referred] == k
            found[:, mine] = expit(learner.fit(drawn[:, fold != k]) @ x[referred[mine]].T)
        yield drawn, found


def inverse(propensity: Floats) -> Floats:
    """Return trimmed and stabilised inverse propensity weights (r, s). The mean of a row is 1.

    >>> inverse(np.array([[0.5, 0.25, 0.25]])).round(2).tolist()
    [[0.6, 1.2, 1.2]]
    """
    weights = 1 / np.maximum(propensity, MIN_PROPENSITY)
    return weights / weights.mean(axis=1, keepdims=True)


def effective_sample_size(weights: Floats) -> float:
    """Return the effective sample size of sample ``weights`` (n,) (Kish 1965).

    >>> effective_sample_size(np.array([1.0, 1.0])), effective_sample_size(np.array([1.0, 0.0]))
    (2.0, 1.0)
    """
    return float(weights.sum() ** 2 / (weights**2).sum()) if weights.any() else 0.0


def covariates(people: People) -> Floats:
    """Return the standardised covariates (n, p) of the regression. The first column is 1."""
    kinds = _common(Counter(reason for reasons in people.indications for reason in reasons))
    asked = np.array(
        [[kind in reasons for kind in kinds] for reasons in people.indications], dtype=np.float64
    )
    asked = asked.reshape(len(people.referred), len(kinds))
    sites = _common(Counter(people.site.tolist()))[1:]
    age = np.where(
        np.isnan(people.age), np.nanmean(people.age) if not np.isnan(people.age).all() else 0, people.age
    )
    flagged = people.flagged[:, None].astype(np.float64)
    columns = np.hstack(
        [
            logit(np.clip(people.probabilities, 1e-4, 1 - 1e-4)),
            np.stack([age, (age - age.mean()) ** 2, np.isnan(people.age), np.log(people.ecgs)], axis=1),
            np.stack([people.sex == "F", people.sex == "M"], axis=1),
            people.site[:, None] == np.array(sites, dtype="U")[None],
            asked,
            flagged,
            flagged * asked,
        ]
    )
    spread = columns.std(axis=0)
    varying = spread > 1e-9
    standard = (columns[:, varying] - columns[:, varying].mean(axis=0)) / spread[varying]
    return np.hstack([np.ones((len(columns), 1)), standard])


def _common(counts: Counter[str]) -> list[str]:
    """Return the names with enough people, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [name for name, people in ordered if people >= RAREST]


class _Regression:
    """Logistic regression of ``referred`` (n,) on ``x`` (n, p), for many resamples of the people at once."""

    def __init__(self, x: Floats, referred: NDArray[np.bool_]) -> None:
        self._x, self._referred = x, referred.astype(np.float64)
        self._above = np.triu_indices(x.shape[1])
        self._products = x[:, self._above[0]] * x[:, self._above[1]]
        self._penalty = np.full(x.shape[1], PENALTY)
        self._penalty[0] = 1e-6
        self._start: Floats | None = None

    def fit(self, weights: Floats) -> Floats:
        """Return coefficients (r, p) for weights (r, n). The first row gives the start for all others."""
        if self._start is None:
            nothing = np.zeros((1, self._x.shape[1]))
            self._start = self._newton(weights[:1], nothing, FIRST_STEPS)
        return self._newton(weights, np.repeat(self._start, len(weights), axis=0), FURTHER_STEPS)

    def _newton(self, weights: Floats, coefficients: Floats, steps: int) -> Floats:
        size = self._x.shape[1]
        for _ in range(steps):
            fitted = expit(coefficients @ self._x.T)
            slope = (weights * (self._referred - fitted)) @ self._x - self._penalty * coefficients
            curvature = np.empty((len(weights), size, size))
            curvature[:, *self._above] = (weights * fitted * (1 - fitted)) @ self._products
            curvature[:, *self._above[::-1]] = curvature[:, *self._above]
            curvature += np.diag(self._penalty)
            coefficients = coefficients + np.linalg.solve(curvature, slope[:, :, None])[:, :, 0]
        return coefficients
