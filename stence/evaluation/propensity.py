"""How likely each person was to be sent to the catheter laboratory, and what an outcome therefore counts.

Only people who were sent have a label, and they are not like the others: symptoms and the model's own flags
sent them. Where nothing but what is recorded here decided who was sent, each person with an outcome stands
for 1/e people like them, e being the probability of being sent (Horvitz & Thompson 1952; Robins, Hernán &
Brumback 2000). Figures weighted so are those of everybody whose ECG was scored, under two assumptions:

- *Nothing unmeasured.* Among people of the same scores, flag, indication, age, sex, site and number of
  ECGs, who is sent does not depend on the arteries. Symptoms enter through the recorded indication alone: a
  hospital that records none gets figures corrected for its flags and scores, not for symptoms; nobody's are
  corrected for troponin, or for what a doctor saw.
- *Positivity.* Everybody might have been sent. Where hardly anybody like them is, few outcomes speak for
  many: probabilities below ``MIN_PROPENSITY`` are raised to it, and the effective sample size says what is
  left.

A logistic regression (ridge penalty) gives e; each third of the people gets theirs from the other two.
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
"""Of squared coefficients of standardised covariates."""
MIN_PROPENSITY = 0.02
"""No outcome counts for more than 50 people."""
RAREST = 30
"""A site or an indication of fewer people has no term of its own."""
FIRST_STEPS, FURTHER_STEPS = 12, 3
"""Of Newton's method: on the people as they are, and from there on a resample."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class People:
    """What is recorded of people (n,) until they were sent, or not.

    ``probabilities`` (n, targets) are the highest of their ECGs, ``flagged`` whether any of these was,
    ``ecgs`` how many there are. ``age`` is in years or NaN, ``sex`` F, M or empty; ``indications`` are all of
    a person's, ``site`` is empty where unknown.
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
    """Each block of ``weights`` (r, n), and the s people's who were sent probability of that, (r, s).

    A row of weights is how often each person was drawn. Each person's probability comes from people of other
    folds, and no resample's model from people who were not drawn.
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
    """What each outcome counts, (r, s), trimmed and stabilised: the mean of a row is 1."""
    weights = 1 / np.maximum(propensity, MIN_PROPENSITY)
    return weights / weights.mean(axis=1, keepdims=True)


def effective_sample_size(weights: Floats) -> float:
    """So many people of equal weight would say as much as these of ``weights`` (n,) do (Kish 1965)."""
    return float(weights.sum() ** 2 / (weights**2).sum()) if weights.any() else 0.0


def covariates(people: People) -> Floats:
    """The regression's covariates (n, p), standardised, the first of them 1."""
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
    """Those of enough people, the commonest first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [name for name, people in ordered if people >= RAREST]


class _Regression:
    """Logistic regression of ``referred`` (n,) on ``x`` (n, p), on many resamples of the people at once."""

    def __init__(self, x: Floats, referred: NDArray[np.bool_]) -> None:
        self._x, self._referred = x, referred.astype(np.float64)
        self._above = np.triu_indices(x.shape[1])
        self._products = x[:, self._above[0]] * x[:, self._above[1]]
        self._penalty = np.full(x.shape[1], PENALTY)
        self._penalty[0] = 1e-6
        self._start: Floats | None = None

    def fit(self, weights: Floats) -> Floats:
        """Coefficients (r, p) for weights (r, n); the first row ever is the start of all others."""
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
