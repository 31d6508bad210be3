"""Propensity of a report: how likely a scored patient was referred to the catheter laboratory.

Only referred people have a label. They differ from the others, because symptoms and the model's flags led to
the referral. A logistic regression (ridge penalty) of referral on what was known before gives the propensity
e. ``stence.evaluation.outcome_weights`` makes weights of it, under two assumptions:

- *No unmeasured confounding.* Among people with the same scores, flags, indication, age, sex, site and number
  of ECGs, referral does not depend on the arteries. Symptoms enter only through the recorded indication.
  Without recorded indications, metrics are corrected for flags and scores, but not for symptoms. They are
  never corrected for troponin or the doctor's impression.
- *Positivity.* Everybody might be referred. If people of a kind are hardly ever referred, nothing can be said
  about them. Propensities below ``MIN_PROPENSITY`` are raised to it, and their share decides whether a metric
  is shown.

A *verification sample* needs neither assumption among those without a flag: a person drawn with a known
probability c is examined whatever the doctor thinks. The draw is a covariate of the regression, and the
propensity is its mean over the draw, (1 - c) e(not drawn) + c e(drawn).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from stence.evaluation.logistic import blocks, logistic_regression

PENALTY = 1.0
"""Ridge penalty of squared coefficients of standardised covariates."""
MIN_PROPENSITY = 0.02
"""Lower bound of the propensity. An outcome represents at most 50 people."""
RAREST = 30
"""Smallest number of people for a site or an indication with its own coefficient."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class People:
    """Covariates of people (n,) before referral, and their referral.

    ``probabilities`` (n, targets) are the highest over their ECGs, ``flags`` is the number of flagged ECGs,
    ``ecgs`` is the number of ECGs. ``age`` is in years or NaN, ``sex`` F, M or empty, ``site`` empty if
    unknown. ``indications`` are a person's ECGs by indication. ``drawn`` is true for the verification sample,
    into which a person came with probability ``chance``.
    """

    probabilities: Floats
    flags: NDArray[np.int64]
    ecgs: NDArray[np.int64]
    age: Floats
    sex: NDArray[np.str_]
    indications: Sequence[Mapping[str, int]]
    site: NDArray[np.str_]
    referred: NDArray[np.bool_]
    drawn: NDArray[np.bool_]
    chance: Floats


@dataclass(frozen=True, slots=True)
class Propensity:
    """Propensities of n people, with what their uncertainty needs.

    ``value`` (n,) are the propensities, not clipped. ``slopes`` (s, p) are the derivatives of those of the s
    referred people by the coefficients. ``influence`` (s, p) is what each referred person adds to the error
    of the coefficients, and ``covariance`` (p, p) the sum of the squares over all n.
    """

    value: Floats
    slopes: Floats
    influence: Floats
    covariance: Floats


def propensities(people: People, known: NDArray[np.bool_] | None = None) -> Propensity:
    """Fit the regression to the people ``known`` (n,), by default all, and apply it to everybody."""
    x, referred = covariates(people), people.referred.astype(np.float64)
    counted = np.ones(len(x)) if known is None else known.astype(np.float64)
    penalty = np.full(x.shape[1], PENALTY)
    penalty[0] = 1e-6
    coefficients, curvature = logistic_regression(x, referred, counted, penalty)
    sent = np.flatnonzero(people.referred)
    value, slopes = _over_the_draw(x, coefficients, people)
    bread = np.linalg.inv(curvature)
    covariance = np.zeros_like(curvature)
    for rows in blocks(len(x)):
        scores = ((referred[rows] - expit(x[rows] @ coefficients)) * counted[rows])[:, None] * x[rows]
        covariance += scores.T @ scores
    residual = (1 - expit(x[sent] @ coefficients)) * counted[sent]
    return Propensity(value, slopes, (residual[:, None] * x[sent]) @ bread, bread @ covariance @ bread)


def _over_the_draw(x: Floats, coefficients: Floats, people: People) -> tuple[Floats, Floats]:
    """Return the propensities (n,) averaged over the draw, and the slopes (s, p) of the referred."""
    sent = np.flatnonzero(people.referred)
    if not people.drawn.any():
        value = expit(x @ coefficients)
        return value, (value[sent] * (1 - value[sent]))[:, None] * x[sent]
    undrawn, drawn = x[:, -1][~people.drawn][0], x[:, -1][people.drawn][0]
    value, slopes = np.zeros(len(x)), np.zeros((len(sent), x.shape[1]))
    for level, share in ((undrawn, 1 - people.chance), (drawn, people.chance)):
        e = expit(x[:, :-1] @ coefficients[:-1] + level * coefficients[-1])
        value += share * e
        there = x[sent].copy()
        there[:, -1] = level
        slopes += (share * e * (1 - e))[sent, None] * there
    return value, slopes


def covariates(people: People) -> Floats:
    """Return the standardised covariates (n, p) of the regression. The first column is 1.

    The last column is the draw, if anybody was drawn.
    """
    kinds = _common(Counter(reason for reasons in people.indications for reason in reasons))
    times = np.array([[reasons.get(kind, 0) for kind in kinds] for reasons in people.indications], np.float64)
    times = times.reshape(len(people.referred), len(kinds))
    asked, often = (times > 0).astype(np.float64), np.log(np.maximum(times, 1))
    sites = _common(Counter(people.site.tolist()))[1:]
    age = np.where(
        np.isnan(people.age), np.nanmean(people.age) if not np.isnan(people.age).all() else 0, people.age
    )
    flagged = (people.flags > 0)[:, None].astype(np.float64)
    columns = np.hstack(
        [
            logit(np.clip(people.probabilities, 1e-4, 1 - 1e-4)),
            np.stack([age, (age - age.mean()) ** 2, np.isnan(people.age), np.log(people.ecgs)], axis=1),
            np.stack([people.sex == "F", people.sex == "M"], axis=1),
            people.site[:, None] == np.array(sites, dtype="U")[None],
            asked,
            flagged,
            np.log(np.maximum(people.flags, 1))[:, None],
            flagged * asked,
            # Each ECG is a further occasion to be referred, for the reason for which it was taken.
            often,
            flagged * often,
            np.log(people.ecgs)[:, None] * asked,
            people.drawn[:, None],
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
